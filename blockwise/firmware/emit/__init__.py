"""The text of the generated project, one file per thing."""
