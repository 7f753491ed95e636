"""adox: a testbed for the encryption of queries from recursive resolvers to authoritative servers."""

__version__ = "0.1.0"
