"""The cryptographic operations of the one suite; alone to import the cryptography library."""
