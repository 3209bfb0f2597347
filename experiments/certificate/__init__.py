"""The stylised-facts certificate: which regularities of real platforms a world shows, with intervals over worlds."""
