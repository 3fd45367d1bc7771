"""SDOBenchmark from its mirrors, or from an archive at hand, to a folder that can be trusted.

Mirrors are tried in turn (``sources``); a transfer goes on where it broke off (``transfer``);
its bytes are compared with what is known of them (``checksums``); an archive is unpacked as if it
were hostile (``members``, ``archives``, ``unpack``); and the folder gets its name last
(``dataset``).
"""
