"""What YOLO writes: label text, ``data.yaml`` and names. Pure, below every backend."""
