package step

import (
	"strings"
	"time"

	http "runner/step/internal/runner_step_http"
)

// Response is an answer, of whatever status: a status is not an error.
type Response struct{ http.Response }

// Header is the value of the first header of this name, in any case.
func (r Response) Header(name string) (string, bool) {
	for _, header := range r.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value, true
		}
	}
	return "", false
}

// Request is a request in the making. Nothing happens before Send or Download.
type Request struct{ own *http.Request }

// NewRequest takes the method in upper case and an absolute URL.
func NewRequest(effect Effect, method, url string) *Request {
	return &Request{http.MakeRequest(method, url, uint8(effect))}
}

// Get is a GET, which only reads.
func Get(url string) *Request { return NewRequest(Read, "GET", url) }

func (r *Request) Header(name, value string) *Request { r.own.Header(name, value); return r }
func (r *Request) HeaderSecret(name string, value *Secret) *Request {
	r.own.HeaderSecret(name, value.own)
	return r
}
func (r *Request) Body(text string) *Request               { r.own.Body(text); return r }
func (r *Request) BodySecret(content *Secret) *Request     { r.own.BodySecret(content.own); return r }
func (r *Request) BodyArtifact(content *Artifact) *Request { r.own.BodyArtifact(content.own); return r }

// Via sends it through this target's connection, so that 127.0.0.1 is the target's own.
func (r *Request) Via(target *Target) *Request         { r.own.Via(target.own); return r }
func (r *Request) ConnectTo(address string) *Request   { r.own.ConnectTo(address); return r }
func (r *Request) Timeout(span time.Duration) *Request { r.own.Timeout(milliseconds(span)); return r }
func (r *Request) UndoWith(undo *Request) *Request     { r.own.UndoWith(undo.own); return r }
func (r *Request) Repeatable() *Request                { r.own.Repeatable(); return r }

// Send sends it and reads the answer. May be called more than once.
func (r *Request) Send() (Response, error) {
	answer, err := pair(r.own.Send())
	return Response{answer}, err
}

// Download stores the body of a 2xx answer.
func (r *Request) Download() (*Artifact, error) { return artifact(pair(r.own.Download())) }
