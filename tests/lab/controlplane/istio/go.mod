// Pins where the lab takes Istio's CRDs from. No Go code here: the module is downloaded and one YAML file of it is read.
module github.com/kubectl-asm/kubectl-asm/tests/lab/controlplane/istio

go 1.24.0

require istio.io/api v1.31.1
