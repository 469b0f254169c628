// Package k8s is the provider that Vault names on its own.
package k8s

import (
	"errors"
	"log"
)

type Provider struct{}

func (*Provider) Addrs(map[string]string, *log.Logger) ([]string, error) {
	return nil, errors.New("discovery is not built in")
}

func (*Provider) Help() string { return "" }
