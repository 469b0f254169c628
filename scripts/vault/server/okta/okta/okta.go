// Package okta stands in the place of Okta's SDK, which Vault knows for one kind of second factor. No test signs in to
// Vault by Okta, and the SDK is a fifth of all that would have to be compiled. Every request fails.
package okta

import (
	"context"
	"errors"
)

var errAbsent = errors.New("Okta is not built in")

type Configuration struct{ Context context.Context }

type ConfigSetter func(*Configuration)

func NewConfiguration(...ConfigSetter) (*Configuration, error) { return nil, errAbsent }

func WithToken(string) ConfigSetter  { return nil }
func WithOrgUrl(string) ConfigSetter { return nil }
func WithCache(bool) ConfigSetter    { return nil }

type APIClient struct {
	UserAPI       userAPI
	UserFactorAPI factorAPI
}

func NewAPIClient(*Configuration) *APIClient { return &APIClient{} }

func (*APIClient) GetConfig() *Configuration { return &Configuration{Context: context.Background()} }

// request answers with nothing of what was asked for.
type request[T any] struct{}

func (r request[T]) Filter(string) request[T] { return r }

func (request[T]) Execute() (T, any, error) {
	var nothing T
	return nothing, nil, errAbsent
}

type named struct{}

func (named) GetId() string { return "" }

type UserFactorPush struct{ named }

type factor struct{ UserFactorPush *UserFactorPush }

type verification struct{ Links any }

func (verification) GetFactorResult() string { return "" }

type transaction struct {
	UserFactorPushTransactionWaiting  *named
	UserFactorPushTransaction         *named
	UserFactorPushTransactionRejected *named
	UserFactorPushTransactionTimeout  *named
}

type (
	userAPI   struct{}
	factorAPI struct{}
)

func (userAPI) ListUsers(context.Context) request[[]named] { return request[[]named]{} }

func (factorAPI) ListFactors(context.Context, string) request[[]factor] { return request[[]factor]{} }

func (factorAPI) VerifyFactor(context.Context, string, string) request[verification] {
	return request[verification]{}
}

func (factorAPI) GetFactorTransactionStatus(context.Context, string, string, string) request[transaction] {
	return request[transaction]{}
}
