"""Methods of training, one a file."""
