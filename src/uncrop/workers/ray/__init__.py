"""The engine on the nodes of a Ray cluster.

A server is connected to the cluster by a process of its own, the *link*: whoever is connected to Ray is ended by it
when the cluster goes away, may wait for ever for one that does not answer, and cannot begin anew. ``link.py`` is that
process and the only module that imports Ray besides ``node.py``, which runs on the nodes; ``connection.py`` is our end
of it, and ``runner.py`` what the rest of the program sees.
"""
