"""What the API answers: JSON documents, field by field. Times are Unix seconds, others seconds.

The OpenAPI document is made of these, mypy holds the answers against them, and the client gives
them their types. A field may come in a later version; none goes.
"""
