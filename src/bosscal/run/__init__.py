"""What a run needs to know before its first job: the configuration, the releases, and where files come from.

Nothing here computes anything. The science does not import it, so that a new key of the configuration reruns no step
but those that use it.
"""
