package step

import (
	"time"

	commands "runner/step/internal/runner_step_commands"
)

// Effect is what a command or a request does to the world.
type Effect uint8

const (
	Read Effect = iota
	Change
	Signal
	Leave
	Join
	Opaque
)

// Output is how a command ended.
type Output = commands.Output

// Command is a command in the making. Nothing happens before Run.
type Command struct{ own *commands.Command }

// NewCommand is a program and its arguments; no shell sees them.
func NewCommand(effect Effect, argv ...string) *Command {
	return &Command{commands.MakeCommand(argv, uint8(effect))}
}

func (c *Command) Env(name, value string) *Command { c.own.Env(name, value); return c }
func (c *Command) EnvSecret(name string, value *Secret) *Command {
	c.own.EnvSecret(name, value.own)
	return c
}
func (c *Command) Stdin(text string) *Command           { c.own.Stdin(text); return c }
func (c *Command) StdinSecret(content *Secret) *Command { c.own.StdinSecret(content.own); return c }
func (c *Command) StdinArtifact(content *Artifact) *Command {
	c.own.StdinArtifact(content.own)
	return c
}
func (c *Command) StdinFile(path string) *Command      { c.own.StdinFile(path); return c }
func (c *Command) Decompress() *Command                { c.own.Decompress(); return c }
func (c *Command) StdoutTo(path string) *Command       { c.own.StdoutTo(path); return c }
func (c *Command) Compress() *Command                  { c.own.Compress(); return c }
func (c *Command) Directory(path string) *Command      { c.own.Directory(path); return c }
func (c *Command) Timeout(span time.Duration) *Command { c.own.Timeout(milliseconds(span)); return c }
func (c *Command) Accept(status int) *Command          { c.own.Accept(uint32(status)); return c }

// SkipIf is a Read command that is run first: when it ends with 0, this one is skipped.
func (c *Command) SkipIf(check *Command) *Command { c.own.SkipIf(check.own); return c }

// UndoWith is what undoes it. Required for Change, Leave and Join.
func (c *Command) UndoWith(undo *Command) *Command { c.own.UndoWith(undo.own); return c }
func (c *Command) Keep() *Command                  { c.own.Keep(); return c }
func (c *Command) Repeatable() *Command            { c.own.Repeatable(); return c }

// Run runs it and waits for its end.
func (c *Command) Run(on *Target) (Output, error) { return pair(c.own.Run(on.own)) }
