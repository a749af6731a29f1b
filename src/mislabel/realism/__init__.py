"""How human a noise is. So far its profile: figures that tell kinds of noise apart."""

from mislabel.realism.profile import clustering_index, describe_labels, row_entropy

__all__ = ["clustering_index", "describe_labels", "row_entropy"]
