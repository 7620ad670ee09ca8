"""The generated parts of the documents, each from the records of one benchmark or study."""
