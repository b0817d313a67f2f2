"""One or many files in, a Checkpoint of TensorInfo records out: headers only, nothing executed."""
