// A layer of deck.gl that draws many dots or rings as points of WebGL: one vertex each, where its
// own scatter plot takes a square each, which is slow for a million, or without a graphics card.
"use strict";
mislabel.DotsLayer = (() => {
  const { Layer, project32 } = deck;
  const { Model } = luma;

  // radius, width: in pixels; width of the line of a ring, or 0 for a dot.
  const block = `layout(std140) uniform dotsUniforms {
      float radius;
      float width;
    } dots;`;
  const uniforms = {
    name: "dots",
    vs: block,
    fs: block,
    uniformTypes: { radius: "f32", width: "f32" },
  };

  const vs = `#version 300 es
    in vec2 positions;
    in vec4 colors;
    out vec4 colour;
    void main(void) {
      gl_Position = project_position_to_clipspace(vec3(positions, 0.0), vec3(0.0), vec3(0.0));
      gl_PointSize = 2.0 * (dots.radius + 0.5 * dots.width + 1.0) * project.devicePixelRatio;
      colour = colors;
    }`;

  const fs = `#version 300 es
    precision highp float;
    in vec4 colour;
    out vec4 fragment;
    void main(void) {
      float edge = dots.radius + 0.5 * dots.width;
      float from = length(2.0 * gl_PointCoord - 1.0) * (edge + 1.0);
      float inside = 1.0 - smoothstep(edge - 0.5, edge + 0.5, from);
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
        ...this.getShaders({ vs, fs, modules: [project32, uniforms] }),
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
      const pixels = Math.min(most, Math.max(least, radius * 2 ** this.context.viewport.zoom));
      this.state.model.shaderInputs.setProps({ dots: { radius: pixels, width } });
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
