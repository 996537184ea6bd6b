"""The HTTP API: the only package that knows HTTP. ``app.create_app`` builds it, ``run.run_server`` serves it."""
