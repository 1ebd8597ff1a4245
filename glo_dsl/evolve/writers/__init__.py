"""Where the figures of a search can be followed from elsewhere: TensorBoard, MLflow, Weights & Biases."""
