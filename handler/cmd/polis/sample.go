package main
import ("context";"errors";"polis/handler/internal/portfolio")
type date = portfolio.Date
type sampleCmd struct{}
func (m *sampleCmd) Run() error { return errors.New("x") }
type sampleOptions struct { Customers int; Seed uint64; World string; AsOf date; Dir string }
func makeSample(ctx context.Context, p *progress, o sampleOptions) error { return errors.New("no sample yet") }
