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
type Request struct {
	method, url string
	effect      Effect
	puts        []func(*http.Request)
}

// NewRequest takes the method in upper case and an absolute URL.
func NewRequest(effect Effect, method, url string) *Request {
	return &Request{method: method, url: url, effect: effect}
}

// Get is a GET, which only reads.
func Get(url string) *Request { return NewRequest(Read, "GET", url) }

func (r *Request) with(put func(*http.Request)) *Request {
	r.puts = append(r.puts, put)
	return r
}

// made is the request in the host, as for a command.
func (r *Request) made() *http.Request {
	own := http.MakeRequest(r.method, r.url, uint8(r.effect))
	for _, put := range r.puts {
		put(own)
	}
	return own
}

func (r *Request) Header(name, value string) *Request {
	return r.with(func(own *http.Request) { own.Header(name, value) })
}

func (r *Request) HeaderSecret(name string, value *Secret) *Request {
	return r.with(func(own *http.Request) { own.HeaderSecret(name, value.own) })
}

func (r *Request) Body(text string) *Request {
	return r.with(func(own *http.Request) { own.Body(text) })
}

func (r *Request) BodySecret(content *Secret) *Request {
	return r.with(func(own *http.Request) { own.BodySecret(content.own) })
}

func (r *Request) BodyArtifact(content *Artifact) *Request {
	return r.with(func(own *http.Request) { own.BodyArtifact(content.own) })
}

// Via sends it through this target's connection, so that 127.0.0.1 is the target's own.
func (r *Request) Via(target *Target) *Request {
	return r.with(func(own *http.Request) { own.Via(target.own) })
}

func (r *Request) ConnectTo(address string) *Request {
	return r.with(func(own *http.Request) { own.ConnectTo(address) })
}

func (r *Request) Timeout(span time.Duration) *Request {
	return r.with(func(own *http.Request) { own.Timeout(milliseconds(span)) })
}

// UndoWith is what undoes it. Required for Change, Leave and Join.
func (r *Request) UndoWith(undo *Request) *Request {
	return r.with(func(own *http.Request) { own.UndoWith(undo.made()) })
}

func (r *Request) Repeatable() *Request { return r.with((*http.Request).Repeatable) }

// Send sends it and reads the answer. May be called more than once.
func (r *Request) Send() (Response, error) {
	own := r.made()
	defer own.Drop()
	answer, err := pair(own.Send())
	return Response{answer}, err
}

// Download stores the body of a 2xx answer.
func (r *Request) Download() (*Artifact, error) {
	own := r.made()
	defer own.Drop()
	return artifact(pair(own.Download()))
}
