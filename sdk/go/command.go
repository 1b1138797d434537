package step

import (
	"slices"
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
type Command struct {
	argv   []string
	effect Effect
	puts   []func(*commands.Command)
}

// NewCommand is a program and its arguments; no shell sees them.
func NewCommand(effect Effect, argv ...string) *Command {
	return &Command{argv: slices.Clone(argv), effect: effect}
}

func (c *Command) with(put func(*commands.Command)) *Command {
	c.puts = append(c.puts, put)
	return c
}

// made is the command in the host, which keeps a limited number of them: it goes to another one, or is given back.
func (c *Command) made() *commands.Command {
	own := commands.MakeCommand(c.argv, uint8(c.effect))
	for _, put := range c.puts {
		put(own)
	}
	return own
}

func (c *Command) Env(name, value string) *Command {
	return c.with(func(own *commands.Command) { own.Env(name, value) })
}

func (c *Command) EnvSecret(name string, value *Secret) *Command {
	return c.with(func(own *commands.Command) { own.EnvSecret(name, value.own) })
}

func (c *Command) Stdin(text string) *Command {
	return c.with(func(own *commands.Command) { own.Stdin(text) })
}

func (c *Command) StdinSecret(content *Secret) *Command {
	return c.with(func(own *commands.Command) { own.StdinSecret(content.own) })
}

func (c *Command) StdinArtifact(content *Artifact) *Command {
	return c.with(func(own *commands.Command) { own.StdinArtifact(content.own) })
}

func (c *Command) StdinFile(path string) *Command {
	return c.with(func(own *commands.Command) { own.StdinFile(path) })
}

func (c *Command) StdoutTo(path string) *Command {
	return c.with(func(own *commands.Command) { own.StdoutTo(path) })
}

func (c *Command) Directory(path string) *Command {
	return c.with(func(own *commands.Command) { own.Directory(path) })
}

func (c *Command) Timeout(span time.Duration) *Command {
	return c.with(func(own *commands.Command) { own.Timeout(milliseconds(span)) })
}

func (c *Command) Accept(status int) *Command {
	return c.with(func(own *commands.Command) { own.Accept(uint32(status)) })
}

func (c *Command) Decompress() *Command { return c.with((*commands.Command).Decompress) }
func (c *Command) Compress() *Command   { return c.with((*commands.Command).Compress) }
func (c *Command) Keep() *Command       { return c.with((*commands.Command).Keep) }
func (c *Command) Repeatable() *Command { return c.with((*commands.Command).Repeatable) }

// SkipIf is a Read command that is run first: when it ends with 0, this one is skipped.
func (c *Command) SkipIf(check *Command) *Command {
	return c.with(func(own *commands.Command) { own.SkipIf(check.made()) })
}

// UndoWith is what undoes it. Required for Change, Leave and Join.
func (c *Command) UndoWith(undo *Command) *Command {
	return c.with(func(own *commands.Command) { own.UndoWith(undo.made()) })
}

// Run runs it and waits for its end. May be called more than once.
func (c *Command) Run(on *Target) (Output, error) {
	own := c.made()
	defer own.Drop()
	return pair(own.Run(on.own))
}
