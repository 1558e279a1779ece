package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progress shows how far stages are: bars on a terminal, a line a stage elsewhere, so
// that a log of a nightly job stays readable.
type progress struct {
	out  io.Writer
	bars *mpb.Progress // nil where there is no terminal
}

func newProgress(out *os.File) *progress {
	p := &progress{out: out}
	if term.IsTerminal(int(out.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(48))
	}
	return p
}

// stage is one bar, or one line when it ends.
type stage struct {
	p       *progress
	name    string
	bar     *mpb.Bar
	started time.Time
	done    int64
}

func (p *progress) stage(name string) *stage {
	s := &stage{p: p, name: name, started: time.Now()}
	if p.bars != nil {
		s.bar = p.bars.AddBar(0,
			mpb.PrependDecorators(decor.Name(fmt.Sprintf("  %-22s", name)), decor.CountersNoUnit("%d/%d", decor.WCSyncWidth)),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 8})))
	}
	return s
}

// set says how much of how much is done.
func (s *stage) set(done, total int64) {
	s.done = done
	if s.bar != nil {
		s.bar.SetTotal(max(total, 1), false)
		s.bar.SetCurrent(done)
	}
}

// end closes the stage; what says in a few words what came of it.
func (s *stage) end(what string) {
	if s.bar != nil {
		s.bar.SetTotal(max(s.done, 1), true)
		s.bar.Wait()
	}
	out := s.p.out
	if s.p.bars != nil {
		out = s.p.bars // above the bars, not through them
	}
	fmt.Fprintf(out, "%s: %s (%.1f s)\n", s.name, what, time.Since(s.started).Seconds())
}

// abort closes the stage without success.
func (s *stage) abort() {
	if s.bar != nil {
		s.bar.Abort(false)
		s.bar.Wait()
	}
}
