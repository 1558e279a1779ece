package bus

import (
	"context"

	"polis/handler/internal/later"
)

// Later is a sender that is opened when it is first asked for: each call waits until it is.
type Later struct{ sender *later.Value[Sender] }

// Open is a sender that is opened later.
func Open(open func() (Sender, error)) *Later { return &Later{later.New(open)} }

// Wait waits until the sender is open, and says why it could not be.
func (l *Later) Wait(ctx context.Context) error {
	_, err := l.sender.Get(ctx)
	return err
}

// Send implements Sender.
func (l *Later) Send(ctx context.Context, queue string, msgs ...Message) error {
	s, err := l.sender.Get(ctx)
	if err != nil {
		return err
	}
	return s.Send(ctx, queue, msgs...)
}
