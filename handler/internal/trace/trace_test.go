package trace

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"testing"

	"polis/handler/internal/bus"
)

const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestWith(t *testing.T) {
	for parent, want := range map[string]string{
		good: good,
		"":   "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01":  "", // in capitals
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":  "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":  "",
		"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01":  "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7":     "",
		good + "\nJan de Vries, 1234 AB":                           "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ": "",
	} {
		if got := Of(With(t.Context(), parent)); got != want {
			t.Errorf("%q: %q", parent, got)
		}
	}
}

func TestAsked(t *testing.T) {
	const gateway = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for _, c := range []struct{ kept, parent, want string }{
		{"", "", ""},
		{"", gateway, gateway},
		{good, gateway, good},
		{good, "", good},
		{"nothing of the kind", gateway, gateway},
	} {
		h := http.Header{}
		h.Set(Kept, c.kept)
		h.Set(Parent, c.parent)
		if got := Of(Asked(t.Context(), h)); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// The gateway's policy and the handler name the same header.
func TestKept(t *testing.T) {
	policy, err := os.ReadFile("../../../infra/bicep/modules/policies/service.xml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(policy, []byte(`<set-header name="`+Kept+`" exists-action="override">`)) {
		t.Errorf("the gateway's policy sets no %s", Kept)
	}
}

type sent []bus.Message

func (s *sent) Send(_ context.Context, _ string, msgs ...bus.Message) error {
	*s = append(*s, msgs...)
	return nil
}

func TestSender(t *testing.T) {
	var out sent
	s := Sender(&out)
	properties := map[string]string{"tenant": "t"}
	if err := s.Send(With(t.Context(), good), "q", bus.Message{ID: "1", Properties: properties}, bus.Message{ID: "2"}); err != nil {
		t.Fatal(err)
	}
	if out[0].Properties[Parent] != good || out[0].Properties["tenant"] != "t" || out[1].Properties[Parent] != good || len(properties) != 1 {
		t.Errorf("sent %+v, the caller's properties %v", out, properties)
	}
	// Without one a trace begins, the same for what is sent together.
	if err := s.Send(t.Context(), "q", bus.Message{ID: "3"}, bus.Message{ID: "4"}); err != nil {
		t.Fatal(err)
	}
	first, second := out[2].Properties[Parent], out[3].Properties[Parent]
	if first != second || Of(With(t.Context(), first)) != first || first == good {
		t.Errorf("new traces %q and %q", first, second)
	}
}
