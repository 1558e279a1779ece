package model

import (
	"strconv"
	"testing"

	"polis/handler/internal/exact"
	"polis/handler/internal/fault"
)

// whole is a table of whole numbers, and of what follows from them by arithmetic that is
// the same everywhere.
func whole(loss Loss, rows int) (Frame, Target) {
	f := Frame{N: rows, Fields: []Field{
		{Name: "age", Monotone: -1}, {Name: "power"}, {Name: "kind", Kind: Category}, {Name: "postcode", Kind: Category},
	}, Num: make([][]float64, 4), Cat: make([][]string, 4)}
	var y Target
	for i := range rows {
		draw := func(n uint64) int { return int(mix(uint64(loss), uint64(i)*16+n) >> 33) }
		age, power, kind, place := 18+draw(0)%70, 30+draw(1)%150, draw(2)%5, draw(3)%300
		f.Num[0], f.Num[1] = append(f.Num[0], float64(age)), append(f.Num[1], float64(power))
		f.Cat[2], f.Cat[3] = append(f.Cat[2], "k"+strconv.Itoa(kind)), append(f.Cat[3], strconv.Itoa(1000+13*place))
		// One in three for the young, with strong cars more, and by region.
		odds := 40 + kind*5 + place/10
		if age < 30 {
			odds += 60
		}
		if power > 120 && age < 50 {
			odds += 50
		}
		v := 0.0
		if draw(4)%400 < odds {
			v = 1
		}
		switch loss {
		case Gamma:
			v = 100 * exact.Exp(float64(odds+draw(5)%200)/100)
			y.Weight = append(y.Weight, float64(1+draw(6)%2))
		case Tweedie:
			v *= 100 * exact.Exp(float64(draw(5)%300)/100)
			y.Exposure = append(y.Exposure, float64(1+draw(6)%4)/4)
		case Poisson:
			y.Exposure = append(y.Exposure, float64(1+draw(6)%4)/4)
		}
		y.Y = append(y.Y, v)
	}
	return f, y
}

// TestTheSameModelOnEveryMachine: these are the digests of the model files that amd64 and
// arm64 have made. A change of the learner changes them, and has to be seen to do so on both
// (GOARCH=arm64 go test -c, under qemu where there is no such machine).
func TestTheSameModelOnEveryMachine(t *testing.T) {
	for loss, want := range map[Loss]string{
		Logistic: "c7b7fbb42fff",
		Poisson:  "6ebd44134833",
		Gamma:    "e056eb16e352",
		Tweedie:  "1adfa97c48df",
	} {
		f, y := whole(loss, 6000)
		m := mustFit(t, f, y, Options{Loss: loss, Bags: 4})
		if got := m.Version(); got != want || len(m.Terms()) < 3 {
			t.Errorf("%s: the model is %s, and should be %s; %d terms", loss, got, want, len(m.Terms()))
		}
	}
}

// TestLargestSizesFit: what is just not refused is learnt from without a panic.
func TestLargestSizesFit(t *testing.T) {
	for _, loss := range []Loss{Poisson, Gamma, Tweedie} {
		f, y := whole(loss, 2000)
		for i := range y.Exposure {
			y.Exposure[i] *= 1e-12 * 4
		}
		if y.Exposure != nil {
			y.Exposure[5] = maxSize
		}
		y.Y[7] = maxSize
		if _, err := Fit(t.Context(), f, y, Options{Loss: loss, Bags: 2}); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", loss, err)
		}
	}
}
