"""USD in and out: keyframes out of any stage, tracked meshes into assets. Needs numpy and pxr, nothing else."""
