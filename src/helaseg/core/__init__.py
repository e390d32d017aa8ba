"""The nouns of helaseg: grids, volumes, detections, tracks, scores, results."""
