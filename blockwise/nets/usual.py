"""What a network is where nobody says otherwise, and how one without a name of its own is called."""

IN_SHAPE, CLASSES = (3, 32, 32), 10
"""Of CIFAR-10."""

OWN = "module:"
"""Before the name of a module's class: the model of a configuration that no name can build."""
