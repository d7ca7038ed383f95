"""The published language of opsledger: what travels between systems. Pydantic and the standard library only.

Another team can take this folder alone. Nothing here may import a broker, a database or a web framework.
"""
