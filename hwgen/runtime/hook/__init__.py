"""What ``hwgen run`` puts on the module path of the program that it starts.

Python imports ``sitecustomize`` when it starts; ours waits for a few packages to be imported and
then has their products go through BLAS, or notes that they cannot. The modules here run inside
programs of others, perhaps in another Python without hwgen: they use the standard library only.
"""
