package simulate

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"polis/handler/internal/fault"
)

func play(t testing.TB, change func(*Settings)) *Result {
	t.Helper()
	s := Defaults()
	if change != nil {
		change(&s)
	}
	r, err := Run(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// quiet is a world in which nothing goes wrong.
func quiet(s *Settings) { s.Failing, s.Crashes, s.Throughput = 0, 0, 0 }

func TestEqualSeedsGiveEqualResults(t *testing.T) {
	rough := func(s *Settings) { s.Failing, s.Crashes, s.Throughput = 0.05, 60, 20_000 }
	first, second := play(t, rough), play(t, rough)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("%+v\nand then\n%+v", first, second)
	}
	if other := play(t, func(s *Settings) { rough(s); s.Seed = 2 }); reflect.DeepEqual(first, other) {
		t.Error("another seed changes nothing")
	}
}

// Where nothing goes wrong a run takes as long as its customers take its cores, and the store is asked for each once.
func TestARunTakesAsLongAsItsCores(t *testing.T) {
	r := play(t, quiet)
	s := Defaults()
	want := float64(s.Tenants[0].Customers) / s.Speed / s.Cores / float64(s.Instances)
	if r.Seconds < want || r.Seconds > 1.05*want {
		t.Errorf("%v s, want %v and a little", r.Seconds, want)
	}
	if !r.Done || r.Retries+r.Throttled+r.Failed+r.Crashes+r.Redelivery+r.Dead != 0 {
		t.Errorf("%+v", r)
	}
	twice := play(t, func(s *Settings) { quiet(s); s.Tenants[0].Customers *= 2 })
	if ratio := twice.Units / r.Units; ratio < 1.95 || ratio > 2.05 {
		t.Errorf("twice the customers cost %v times the request units", ratio)
	}
}

func TestThrottling(t *testing.T) {
	free := play(t, quiet)
	tight := play(t, func(s *Settings) { quiet(s); s.Throughput = free.Units / free.Seconds / 4 })
	if ratio := tight.Seconds / free.Seconds; !tight.Done || ratio < 3 || ratio > 6 {
		t.Errorf("a quarter of the request units makes the run %v times as long; done: %v", ratio, tight.Done)
	}
	if tight.Throttled == 0 || tight.Retries == 0 {
		t.Errorf("%+v", tight)
	}
	if rate := tight.Units / tight.Seconds; rate > 1.1*free.Units/free.Seconds/4 {
		t.Errorf("the store gave %v request units a second", rate)
	}
}

func TestCrashes(t *testing.T) {
	r := play(t, func(s *Settings) { quiet(s); s.Crashes = 60 })
	if !r.Done || r.Crashes == 0 || r.Redelivery == 0 || r.Dead > 0 {
		t.Errorf("%+v", r)
	}
	if calm := play(t, quiet); r.Seconds <= calm.Seconds+Defaults().Lock/2 {
		t.Errorf("with crashes %v s, without %v s: nobody waited for a lock", r.Seconds, calm.Seconds)
	}
}

// A store that is down ends in dead letters, and what is played ends.
func TestAStoreThatIsDown(t *testing.T) {
	r := play(t, func(s *Settings) { quiet(s); s.Failing = 0.99 })
	if r.Done || r.Dead == 0 || r.GivenUp == 0 {
		t.Errorf("%+v", r)
	}
}

// Small tenants that come after a large one are done long before it, because runs are no wider than
// they may be; without that they wait until nearly its end.
func TestOneLargeTenantDoesNotStarveTheOthers(t *testing.T) {
	many := func(s *Settings) {
		quiet(s)
		s.Tenants = []Tenant{{10_000_000, 1024}}
		for range 8 {
			s.Tenants = append(s.Tenants, Tenant{20_000, 64})
		}
	}
	fair := play(t, many)
	unfair := play(t, func(s *Settings) { many(s); s.Width = 0 })
	for i, small := range fair.Tenants[1:] {
		if small.Seconds > 0.25*fair.Tenants[0].Seconds {
			t.Errorf("tenant %d is done after %v s, the large one after %v", i+1, small.Seconds, fair.Tenants[0].Seconds)
		}
		if before := unfair.Tenants[i+1].Seconds; before < 0.9*unfair.Tenants[0].Seconds {
			t.Errorf("without a width tenant %d is done after %v s: then why have one", i+1, before)
		}
	}
	if slower := fair.Seconds / unfair.Seconds; slower > 1.02 {
		t.Errorf("it takes %v times as long for all", slower)
	}
}

// Whatever is played: it ends, nobody has more under way than its run is wide, and every chunk is done
// unless its message is dead.
func TestWhatIsPlayedEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Defaults()
		s.Tenants = nil
		for range rapid.IntRange(1, 4).Draw(t, "tenants") {
			s.Tenants = append(s.Tenants, Tenant{rapid.IntRange(1, 50_000).Draw(t, "customers"), rapid.IntRange(1, 100).Draw(t, "buckets")})
		}
		s.Width = rapid.IntRange(0, 50).Draw(t, "width")
		s.Instances = rapid.IntRange(1, 20).Draw(t, "instances")
		s.Ready = rapid.IntRange(0, s.Instances).Draw(t, "ready")
		s.Concurrency = rapid.IntRange(1, 4).Draw(t, "concurrency")
		s.Failing = rapid.Float64Range(0, 0.5).Draw(t, "failing")
		s.Crashes = rapid.Float64Range(0, 100).Draw(t, "crashes")
		s.Throughput = rapid.SampledFrom([]float64{0, 2000, 50_000}).Draw(t, "throughput")
		s.Seed = rapid.Uint64().Draw(t, "seed")
		r, err := Run(s)
		if err != nil {
			t.Fatal(err)
		}
		chunks, done := 0, 0
		for _, tn := range r.Tenants {
			chunks, done = chunks+tn.Buckets, done+tn.Chunks
			if s.Width > 0 && tn.Most > s.Width {
				t.Fatalf("%d chunks under way of a run that is %d wide", tn.Most, s.Width)
			}
			if (tn.Chunks == tn.Buckets) != (tn.Seconds > 0) {
				t.Fatalf("%+v", tn)
			}
		}
		if done < chunks && r.Dead == 0 && r.Seconds < s.Until*3600-s.Lock {
			t.Fatalf("%d of %d chunks done, and none dead: %+v", done, chunks, r)
		}
	})
}

func TestCheckNamesTheSetting(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"tenants": func(s *Settings) { s.Tenants = nil }, "width": func(s *Settings) { s.Width = -1 },
		"ready": func(s *Settings) { s.Ready = 99 }, "concurrency": func(s *Settings) { s.Concurrency = 0 },
		"cores": func(s *Settings) { s.Cores = 0 }, "failing": func(s *Settings) { s.Failing = 1 },
	} {
		s := Defaults()
		change(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) || len(err.Error()) < len(name) || err.Error()[:len(name)] != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
