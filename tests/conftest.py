"""How tests run: examples of property tests are not timed, as machines may be busy."""

from hypothesis import settings

settings.register_profile("adox", deadline=None)
settings.load_profile("adox")
