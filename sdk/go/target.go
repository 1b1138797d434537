package step

import (
	wit "runner/step/internal/abi/types"
	releases "runner/step/internal/runner_step_releases"
	sockets "runner/step/internal/runner_step_sockets"
	targets "runner/step/internal/runner_step_targets"
	types "runner/step/internal/runner_step_types"
)

// Target is a machine. Change verbs answer true when the target differs from how this step last left it.
type Target struct{ own *targets.Target }

type (
	// Entry is a file, a folder or a link.
	Entry = types.Entry
	// Link is a symbolic link in a tree.
	Link = types.Link
	// Release is one version laid out on a target.
	Release = releases.Release
)

// What an entry is.
const (
	IsFile      = types.EntryKind_File
	IsDirectory = types.EntryKind_Directory
	IsSymlink   = types.EntryKind_Symlink
	IsOther     = types.EntryKind_Other
)

// What became of a release.
const (
	Good    = releases.Mark_Good
	Bad     = releases.Mark_Bad
	Untried = releases.Mark_Untried
)

// Attributes says who owns a file and who may do what with it; what is left out stays as it is.
type Attributes struct {
	mode         *uint32
	owner, group string
}

// Keep leaves all as it is; what is new is as the verb says.
var Keep Attributes

// Mode is these permission bits: `step.Mode(0o644)`.
func Mode(bits uint32) Attributes { return Keep.Mode(bits) }

func (a Attributes) Mode(bits uint32) Attributes {
	a.mode = &bits
	return a
}

func (a Attributes) Owner(name string) Attributes {
	a.owner = name
	return a
}

func (a Attributes) Group(name string) Attributes {
	a.group = name
	return a
}

func (a Attributes) wit() types.Attributes {
	made := types.Attributes{Mode: wit.None[uint32](), Owner: option(a.owner), Group: option(a.group)}
	if a.mode != nil {
		made.Mode = wit.Some(*a.mode)
	}
	return made
}

// Owned says who owns all that is in a tree or an archive, which has modes of its own; what is left out stays as it is.
type Owned struct{ Owner, Group string }

func (o Owned) wit() types.Attributes { return Keep.Owner(o.Owner).Group(o.Group).wit() }

func option(text string) wit.Option[string] {
	if text == "" {
		return wit.None[string]()
	}
	return wit.Some(text)
}

// Action is what to ask of the init system.
type Action uint8

const (
	Start Action = iota
	Stop
	Restart
	Reload
	ReloadOrRestart
)

var current *Target

// CurrentTarget is the target that this step acts on.
func CurrentTarget() *Target {
	if current == nil {
		current = &Target{targets.Current()}
	}
	return current
}

// NamedTarget is another target of the inventory. Needs the grant `target:NAME`.
func NamedTarget(name string) (*Target, error) {
	own, err := pair(targets.Named(name))
	if err != nil {
		return nil, err
	}
	return held(&Target{own}, own), nil
}

func (t *Target) Name() string                              { return t.own.Name() }
func (t *Target) Fact(name string) (string, error)          { return pair(t.own.Fact(name)) }
func (t *Target) ReadDir(path string) ([]Entry, error)      { return pair(t.own.ReadDir(path)) }
func (t *Target) ReadLink(path string) (string, error)      { return pair(t.own.ReadLink(path)) }
func (t *Target) Read(path string) (string, error)          { return pair(t.own.Read(path)) }
func (t *Target) Digest(path string) (string, error)        { return pair(t.own.Digest(path)) }
func (t *Target) DiskFree(path string) (uint64, error)      { return pair(t.own.DiskFree(path)) }
func (t *Target) Fetch(path string) (*Artifact, error)      { return artifact(pair(t.own.Fetch(path))) }
func (t *Target) ServiceIsActive(unit string) (bool, error) { return pair(t.own.ServiceIsActive(unit)) }
func (t *Target) Symlink(path, pointsTo string) (bool, error) {
	return pair(t.own.Symlink(path, pointsTo))
}
func (t *Target) Rename(oldPath, newPath string) error      { return only(t.own.Rename(oldPath, newPath)) }
func (t *Target) Remove(path string) (bool, error)          { return pair(t.own.Remove(path)) }
func (t *Target) RemoveTree(path string) (bool, error)      { return pair(t.own.RemoveTree(path)) }
func (t *Target) Archive(path, into string) (uint64, error) { return pair(t.own.Archive(path, into)) }

// Stat is what is at the path; nil when there is nothing.
func (t *Target) Stat(path string) (*Entry, error) { return maybe(pair(t.own.Stat(path))) }

// Write makes the file have this text, atomically.
func (t *Target) Write(path, text string, how Attributes) (bool, error) {
	return pair(t.own.Write(path, text, how.wit()))
}

// WriteSecret is the same with a secret as the text.
func (t *Target) WriteSecret(path string, content *Secret, how Attributes) (bool, error) {
	return pair(t.own.WriteSecret(path, content.own, how.wit()))
}

// Put is the same with an artifact, which must be a file.
func (t *Target) Put(path string, content *Artifact, how Attributes) (bool, error) {
	return pair(t.own.Put(path, content.own, how.wit()))
}

// Mkdir makes the folder and its parents exist.
func (t *Target) Mkdir(path string, how Attributes) (bool, error) {
	return pair(t.own.Mkdir(path, how.wit()))
}

// SetAttributes makes the file or folder at the path have these.
func (t *Target) SetAttributes(path string, how Attributes) (bool, error) {
	return pair(t.own.SetAttributes(path, how.wit()))
}

// Unpack makes the folder hold exactly the tree and the links; `reuse` may be empty.
func (t *Target) Unpack(path string, tree *Artifact, links []Link, reuse string, how Owned) (bool, error) {
	return pair(t.own.Unpack(path, tree.own, links, option(reuse), how.wit()))
}

// Unarchive makes the folder or file equal to what an archive that Archive made holds.
func (t *Target) Unarchive(archive, path string, how Owned) (bool, error) {
	return pair(t.own.Unarchive(archive, path, how.wit()))
}

// Service asks the init system, and returns when the unit has reached the state.
func (t *Target) Service(unit string, action Action) error {
	return only(t.own.Service(unit, uint8(action)))
}

// Exchange sends a text to the Unix socket and answers all that comes back.
func (t *Target) Exchange(socket, text string, effect Effect) (string, error) {
	return pair(sockets.Exchange(t.own, socket, text, uint8(effect)))
}

// Releases are those below a release root that are complete, newest first.
func (t *Target) Releases(root string) ([]Release, error) { return pair(releases.All(t.own, root)) }

// PreviousRelease is the good one before the live one; nil when there is none.
func (t *Target) PreviousRelease(root string) (*Release, error) {
	return maybe(pair(releases.Previous(t.own, root)))
}
