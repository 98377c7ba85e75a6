"""The article's task: its network, its loss, the digits and how nodes share them out.

In come a seed, pixels and labels; out go flat parameters, flat gradients and each node's batches. It must
not know how many processes there are, nor who adds the gradients up.
"""
