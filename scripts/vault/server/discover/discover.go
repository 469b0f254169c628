// Package discover stands in the place of the library by which Vault looks for its own replicas in twenty clouds. A
// Vault of tests has no replicas, and the SDKs of these clouds are a third of the time that a build would take.
package discover

import (
	"errors"
	"log"
)

var errAbsent = errors.New("discovery is not built in")

type Provider interface {
	Addrs(args map[string]string, l *log.Logger) ([]string, error)
	Help() string
}

var Providers = map[string]Provider{}

type Config map[string]string

func (Config) String() string { return "" }

func Parse(string) (Config, error) { return nil, errAbsent }

type Discover struct{}

type Option func(*Discover) error

func New(...Option) (*Discover, error) { return &Discover{}, nil }

func WithProviders(map[string]Provider) Option { return func(*Discover) error { return nil } }

func (*Discover) Addrs(string, *log.Logger) ([]string, error) { return nil, errAbsent }

func (*Discover) Names() []string { return nil }
