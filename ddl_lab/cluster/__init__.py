"""What things cost: the speeds, links, failures and collectives of a cluster that is described.

In come samples, bytes, ranks and a seed; out go seconds, bytes and messages, the same always. It must not
know who computes, nor whether the clock is real.
"""
