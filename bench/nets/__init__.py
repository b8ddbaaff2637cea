"""Networks under test. The only package that imports TensorFlow, and never before it is used."""
