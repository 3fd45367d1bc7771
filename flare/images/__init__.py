"""Images of a sample: file names, pixels, and arrays that are uploaded instead of images."""
