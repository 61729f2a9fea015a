"""The pipeline on Kubernetes: a kustomize base and two overlays; topics and users of Strimzi are generated."""
