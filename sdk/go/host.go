package step

import (
	"fmt"
	"strings"
	"time"

	wit "runner/step/internal/abi/types"
	artifacts "runner/step/internal/runner_step_artifacts"
	log "runner/step/internal/runner_step_log"
	info "runner/step/internal/runner_step_run_info"
	secrets "runner/step/internal/runner_step_secrets"
	timer "runner/step/internal/runner_step_timer"
	workspace "runner/step/internal/runner_step_workspace"
)

// Debugf logs a line for the author of the step; shown with `-v`.
func Debugf(format string, values ...any) { log.Debug(valid(fmt.Sprintf(format, values...))) }

// Infof logs what the step is doing.
func Infof(format string, values ...any) { log.Info(valid(fmt.Sprintf(format, values...))) }

// Warnf logs something to look at that does not stop the step.
func Warnf(format string, values ...any) { log.Warn(valid(fmt.Sprintf(format, values...))) }

// Errorf logs something that failed; only where it is not also the error that Run returns.
func Errorf(format string, values ...any) { log.Error(valid(fmt.Sprintf(format, values...))) }

// Progress moves the progress bar. `what` is the unit in the plural: "rows"; a total of 0 is not known.
func Progress(done, total int, what string) { log.Progress(uint32(done), uint32(total), valid(what)) }

// valid has U+FFFD in the place of what is not UTF-8, for which the host would end the step.
func valid(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

// Now is the time, which a replay repeats. `time.Now` stands still.
func Now() time.Time { return time.UnixMilli(int64(timer.Now())) }

// Sleep waits. Fails only with Cancelled.
func Sleep(span time.Duration) error { return only(timer.Sleep(milliseconds(span))) }

func milliseconds(span time.Duration) uint32 {
	return uint32(min(max(span.Milliseconds(), 0), 1<<32-1))
}

func RunID() string        { return info.RunId() }
func StepID() string       { return info.StepId() }
func Environment() string  { return info.Environment() }
func OperationKey() string { return info.OperationKey() }

func ReleaseID() (string, bool)           { return some(info.ReleaseId()) }
func PreviousReleaseID() (string, bool)   { return some(info.PreviousRelease()) }
func Subject() (string, bool)             { return some(info.Subject()) }
func Variable(name string) (string, bool) { return some(info.Variable(name)) }

func some[T any](option wit.Option[T]) (value T, ok bool) {
	if option.Tag() == wit.OptionNone {
		return value, false
	}
	return option.Some(), true
}

// Artifact is data that stay in the host.
type Artifact struct{ own *artifacts.Artifact }

func artifact(own *artifacts.Artifact, err error) (*Artifact, error) {
	if err != nil {
		return nil, err
	}
	return held(&Artifact{own}, own), nil
}

// Pack packs a file or a folder of the workspace. `exclude` takes the patterns of .gitignore.
func Pack(path string, exclude ...string) (*Artifact, error) {
	return artifact(pair(artifacts.Pack(path, exclude)))
}

// OpenArtifact finds an artifact of this run by the digest that another step gave out.
func OpenArtifact(digest string) (*Artifact, error) { return artifact(pair(artifacts.Open(digest))) }

// NewArtifact stores a file that the step has made, at most 16 MiB.
func NewArtifact(content []byte) (*Artifact, error) {
	return artifact(pair(artifacts.FromBytes(content)))
}

func (a *Artifact) Digest() string                 { return a.own.Digest() }
func (a *Artifact) Size() uint64                   { return a.own.Size() }
func (a *Artifact) Bytes() ([]byte, error)         { return pair(a.own.Bytes()) }
func (a *Artifact) Save(path string) (bool, error) { return pair(a.own.Save(path)) }

// Drop gives it back, which else happens when nothing refers to it any more. The data stay.
func (a *Artifact) Drop() { a.own.Drop() }

// Secret is a value that the step may use and never sees. What is made of it is a secret too.
type Secret struct{ own *secrets.Secret }

// GetSecret is a secret that the plan gives to this step, by its name.
func GetSecret(name string) (*Secret, error) {
	own, err := pair(secrets.Get(name))
	if err != nil {
		return nil, err
	}
	return secret(own), nil
}

func secret(own *secrets.Secret) *Secret { return held(&Secret{own}, own) }

func (s *Secret) Wrap(before, after string) *Secret { return secret(s.own.Wrap(before, after)) }
func (s *Secret) Append(other *Secret) *Secret      { return secret(s.own.Append(other.own)) }
func (s *Secret) Base64() *Secret                   { return secret(s.own.Base64()) }
func (s *Secret) URLEncode() *Secret                { return secret(s.own.UrlEncode()) }

// Drop gives it back, which else happens when nothing refers to it any more.
func (s *Secret) Drop() { s.own.Drop() }

// WorkspaceStat is what is at the path beside the plan; nil when there is nothing.
func WorkspaceStat(path string) (*Entry, error)      { return maybe(pair(workspace.Stat(path))) }
func WorkspaceReadDir(path string) ([]Entry, error)  { return pair(workspace.ReadDir(path)) }
func WorkspaceRead(path string) (string, error)      { return pair(workspace.Read(path)) }
func WorkspaceDigest(path string) (string, error)    { return pair(workspace.Digest(path)) }
func WorkspaceWrite(path, text string) (bool, error) { return pair(workspace.Write(path, text)) }

func maybe[T any](option wit.Option[T], err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	if value, ok := some(option); ok {
		return &value, nil
	}
	return nil, nil
}
