"""The publisher's kit: send activities over HTTP or NATS, lose none, count none twice.

An extra (`pip install "opsledger-contracts[client]"`): the only place of this folder that imports httpx and nats-py.
"""
