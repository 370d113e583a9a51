package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config"
	kubelib "istio.io/istio/pkg/kube"
)

// meshCluster is the registry that stands for the mesh control plane's own API server.
const meshCluster = cluster.ID("Kubernetes")

// undated is the creation time of objects that carry none: all of the same age, so that name and namespace decide.
// (Istio's in-memory store would otherwise date them in the order of reading.)
var undated = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// input is the YAML of a case, sorted.
type input struct {
	domain  string
	regions map[string]string
	configs []config.Config
	objects map[cluster.ID][]runtime.Object
	pods    []pod // of all clusters, once complete
	invalid []string
	ignored []string
}

type pod struct {
	cluster cluster.ID
	*corev1.Pod
}

// load reads everything that a case holds.
func load(c Case) (*input, error) {
	in := &input{domain: first(c.Domain, "cluster.local"), regions: c.Regions, objects: map[cluster.ID][]runtime.Object{meshCluster: nil}}
	if err := in.folder(c.dir); err != nil {
		return nil, err
	}
	if err := in.add("yaml", meshCluster, []byte(c.YAML)); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Clusters)) {
		if err := in.add(name, cluster.ID(name), []byte(c.Clusters[name])); err != nil {
			return nil, err
		}
	}
	in.complete()
	return in, nil
}

// folder reads the YAML files below dir: those in clusters/NAME/ are member cluster NAME's, all others the mesh's.
func (in *input) folder(dir string) error {
	if dir == "" {
		return nil
	}
	var files []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Ext(p) == ".yaml" && p != filepath.Join(dir, "requests.yaml") {
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(files)
	for _, f := range files {
		name, _ := filepath.Rel(dir, f)
		id := meshCluster
		if parts := strings.Split(filepath.ToSlash(name), "/"); len(parts) > 2 && parts[0] == "clusters" {
			id = cluster.ID(parts[1])
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := in.add(name, id, b); err != nil {
			return err
		}
	}
	return nil
}

// add reads the documents of a text.
func (in *input) add(name string, id cluster.ID, b []byte) error {
	r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
	for i := 0; ; i++ {
		doc, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		js, err := yaml.YAMLToJSON(doc)
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", name, i+1, err)
		}
		if err := in.addJSON(name, id, js); err != nil {
			return err
		}
	}
}

// addJSON sorts one document in, or the documents of a List.
func (in *input) addJSON(name string, id cluster.ID, js []byte) error {
	var m struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   metav1.ObjectMeta `json:"metadata"`
		Items      []json.RawMessage `json:"items"`
	}
	if string(js) == "null" || json.Unmarshal(js, &m) != nil || m.Kind == "" {
		return nil
	}
	if strings.HasSuffix(m.Kind, "List") && m.Items != nil {
		for _, it := range m.Items {
			if err := in.addJSON(name, id, it); err != nil {
				return err
			}
		}
		return nil
	}
	what := fmt.Sprintf("%s: %s %s/%s", name, m.Kind, m.Metadata.Namespace, m.Metadata.Name)
	group, _, _ := strings.Cut(m.APIVersion, "/")
	if strings.HasSuffix(group, ".istio.io") {
		if id != meshCluster {
			in.ignored = append(in.ignored, what+": Istio kind in a member cluster")
			return nil
		}
		in.addConfig(what, js)
		return nil
	}
	o, _, err := kubelib.IstioCodec.UniversalDeserializer().Decode(js, nil, nil)
	if err != nil {
		in.ignored = append(in.ignored, what)
		return nil
	}
	if acc, ok := o.(metav1.Object); ok && acc.GetNamespace() == "" && m.Kind != "Namespace" && m.Kind != "Node" {
		acc.SetNamespace("default")
	}
	in.objects[id] = append(in.objects[id], o)
	return nil
}

// addConfig takes an object of Istio's, as its validation does.
func (in *input) addConfig(what string, js []byte) {
	configs, others, err := crd.ParseInputs(string(js))
	if err != nil {
		in.invalid = append(in.invalid, what+": "+err.Error())
		return
	}
	if len(others) > 0 {
		in.ignored = append(in.ignored, what)
	}
	for _, c := range configs {
		c.Domain = in.domain
		c.Namespace = first(c.Namespace, "default")
		if c.CreationTimestamp.IsZero() {
			c.CreationTimestamp = undated
		}
		in.configs = append(in.configs, c)
	}
}
