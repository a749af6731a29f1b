// A layer of deck.gl that draws many dots or rings as points of WebGL: one vertex each, where its
// own scatter plot takes a square each, which is slow for a million, or without a graphics card.
"use strict";
mislabel.DotsLayer = (() => {
  const { Layer } = deck;
  const { Model } = luma;

  // radius, width: in pixels; width of the line of a ring, or 0 for a dot. ratio: of the device's
  // pixels to those. middle: of the view, on the map. scale: from units of the map to half views.
  const block = `layout(std140) uniform dotsUniforms {
      float radius;
      float width;
      float ratio;
      vec2 middle;
      vec2 scale;
    } dots;`;
  const uniforms = {
    name: "dots",
    vs: block,
    fs: block,
    uniformTypes: { radius: "f32", width: "f32", ratio: "f32", middle: "vec2<f32>", scale: "vec2<f32>" },
  };

  const vs = `#version 300 es
    in vec2 positions;
    in vec4 colors;
    out vec4 colour;
    void main(void) {
      gl_Position = vec4((positions - dots.middle) * dots.scale, 0.0, 1.0);
      gl_PointSize = 2.0 * (dots.radius + 0.5 * dots.width + 0.5) * dots.ratio;
      colour = colors;
    }`;

  const fs = `#version 300 es
    precision highp float;
    in vec4 colour;
    out vec4 fragment;
    void main(void) {
      float edge = dots.radius + 0.5 * dots.width;
      float from = length(2.0 * gl_PointCoord - 1.0) * (edge + 0.5);
      float inside = clamp(edge + 0.5 - from, 0.0, 1.0);
      if (dots.width > 0.0) {
        float inner = dots.radius - 0.5 * dots.width;
        inside *= smoothstep(inner - 0.5, inner + 0.5, from);
      }
      if (inside <= 0.0) discard;
      fragment = vec4(colour.rgb, colour.a * inside);
    }`;

  const BLEND = {
    depthCompare: "always", depthWriteEnabled: false, blend: true,
    blendColorSrcFactor: "src-alpha", blendColorDstFactor: "one-minus-src-alpha", blendColorOperation: "add",
    blendAlphaSrcFactor: "one", blendAlphaDstFactor: "one-minus-src-alpha", blendAlphaOperation: "add",
  };

  // Properties: positions Float32Array (2N,), colors Uint8Array (4N,), radius in units of the map
  // with its least and most in pixels, width of the line.
  class DotsLayer extends Layer {
    _getAttributeManager() { return null; }

    initializeState() {
      this.setState({ model: null, buffers: {} });
    }

    updateState({ props, oldProps }) {
      for (const name of ["positions", "colors"]) {
        if (props[name] === oldProps[name] && this.state.buffers[name]) continue;
        this.state.buffers[name]?.destroy();
        // An empty buffer is no buffer: one of a single unused vertex stands for it.
        const values = props[name].length ? props[name] : new props[name].constructor(4);
        this.state.buffers[name] = this.context.device.createBuffer({ data: values });
      }
      this.state.model ??= this.makeModel();
      this.state.model.setAttributes(this.state.buffers);
      this.state.model.setVertexCount(props.positions.length / 2);
    }

    makeModel() {
      return new Model(this.context.device, {
        ...this.getShaders({ vs, fs, modules: [uniforms] }),
        id: this.props.id,
        topology: "point-list",
        isInstanced: false,
        bufferLayout: [{ name: "positions", format: "float32x2" }, { name: "colors", format: "unorm8x4" }],
        attributes: this.state.buffers,
        vertexCount: 0,
        parameters: BLEND,
      });
    }

    draw() {
      const { positions, radius, least, most, width } = this.props;
      if (!positions.length) return;
      const { device, viewport } = this.context;
      const { width: across, height: down, scale } = viewport;
      const view = {
        radius: Math.min(most, Math.max(least, radius * scale)),
        ratio: device.canvasContext.cssToDeviceRatio(),
        middle: viewport.unproject([across / 2, down / 2]).slice(0, 2),
        scale: [(2 * scale) / across, (2 * scale) / down],
      };
      this.state.model.shaderInputs.setProps({ dots: { ...view, width } });
      this.state.model.draw(this.context.renderPass);
    }

    finalizeState(context) {
      super.finalizeState(context);
      this.state.model?.destroy();
      for (const buffer of Object.values(this.state.buffers)) buffer.destroy();
    }
  }
  DotsLayer.layerName = "DotsLayer";
  DotsLayer.defaultProps = {
    positions: { type: "object", value: new Float32Array(0), compare: false },
    colors: { type: "object", value: new Uint8Array(0), compare: false },
    radius: 1, least: 1, most: 8, width: 0,
  };
  return DotsLayer;
})();
