package model

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestMonotoneFieldsKeepTheirPromise(t *testing.T) {
	long(t)
	for _, sign := range []int8{1, -1} {
		for loss, data := range madeBy {
			f, y, _ := data(6_000, 11)
			// Both against the truth and without it, so that the constraint has work to do.
			for _, c := range []int{0, 2, 3, 4} {
				f.Fields[c].Monotone = sign
			}
			m := mustFit(t, f, y, Options{Loss: loss})
			row := newRow(f)
			rng := rand.New(rand.NewPCG(3, 3))
			for range 300 {
				rowOf(f, rng.IntN(f.N), &row)
				for _, c := range []int{0, 2, 3, 4} {
					values := slices.Clone(f.Num[c][:400])
					values = slices.DeleteFunc(values, math.IsNaN)
					slices.Sort(values)
					kept, last := row.Num[c], math.Inf(-1)*float64(sign)
					for _, v := range values {
						row.Num[c] = v
						s := m.Score(row, nil)
						if (s-last)*float64(sign) < 0 {
							t.Fatalf("%s: %s at %v scores %v after %v", loss, f.Fields[c].Name, v, s, last)
						}
						last = s
					}
					row.Num[c] = kept
				}
			}
		}
	}
}

func TestAConstantFieldChangesNothing(t *testing.T) {
	long(t)
	for loss, data := range madeBy {
		f, y, _ := data(5_000, 12)
		without := mustFit(t, f, y, Options{Loss: loss})
		f.Fields = append(f.Fields, Field{Name: "one"}, Field{Name: "same", Kind: Category}, Field{Name: "void"})
		for range 3 {
			f.Num = append(f.Num, make([]float64, f.N))
			f.Cat = append(f.Cat, make([]string, f.N))
		}
		for i := range f.N {
			f.Num[5][i], f.Cat[6][i], f.Num[7][i] = 1, "same", math.NaN()
		}
		with := mustFit(t, f, y, Options{Loss: loss})
		row := newRow(f)
		for i := range f.N {
			rowOf(f, i, &row)
			if a, b := without.Score(row, nil), with.Score(row, nil); a != b {
				t.Fatalf("%s row %d: %v without constant fields, %v with", loss, i, a, b)
			}
		}
	}
}

func TestExposureScalesPoisson(t *testing.T) {
	long(t)
	// A book known for twice as long, with the same claims, has half the frequency
	// and the same relativities.
	f, y, _ := madePoisson(20_000, 13)
	once := mustFit(t, f, y, Options{Loss: Poisson})
	for i := range y.Exposure {
		y.Exposure[i] *= 2
	}
	twice := mustFit(t, f, y, Options{Loss: Poisson})
	row := newRow(f)
	for i := range f.N {
		rowOf(f, i, &row)
		if d := once.Score(row, nil) - twice.Score(row, nil); math.Abs(d-math.Ln2) > 2e-4 {
			t.Fatalf("row %d: doubled exposure lowers the link by %v, want %v", i, d, math.Ln2)
		}
	}
}

func TestRowOrderDoesNotMatter(t *testing.T) {
	long(t)
	for _, grouped := range []bool{false, true} {
		f, y, _ := madePoisson(6_000, 14)
		for i := range f.N {
			if grouped {
				y.Group = append(y.Group, strconv.Itoa(i/2))
			}
		}
		first := saved(t, mustFit(t, f, y, Options{Loss: Poisson, Bags: 4}))
		rand.New(rand.NewPCG(4, 4)).Shuffle(f.N, func(i, j int) {
			for c := range f.Fields {
				if f.Fields[c].Kind == Numeric {
					f.Num[c][i], f.Num[c][j] = f.Num[c][j], f.Num[c][i]
				} else {
					f.Cat[c][i], f.Cat[c][j] = f.Cat[c][j], f.Cat[c][i]
				}
			}
			y.Y[i], y.Y[j] = y.Y[j], y.Y[i]
			y.Exposure[i], y.Exposure[j] = y.Exposure[j], y.Exposure[i]
			if grouped {
				y.Group[i], y.Group[j] = y.Group[j], y.Group[i]
			}
		})
		if !bytes.Equal(first, saved(t, mustFit(t, f, y, Options{Loss: Poisson, Bags: 4}))) {
			t.Errorf("grouped %v: the same rows in another order give another model", grouped)
		}
	}
}

// TestMonotoneFieldsInPairs: the promise holds on every pair of bins, of whatever else.
func TestMonotoneFieldsInPairs(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(60_000, 17)
	f.Fields[0].Monotone, f.Fields[4].Monotone = -1, 1
	m := mustFit(t, f, y, Options{Loss: Poisson})
	paired := false
	for _, term := range m.Terms() {
		paired = paired || slices.Equal(term.Fields, []int{0, 4})
	}
	if !paired {
		t.Fatalf("age and power are no pair: %v", m.Terms())
	}
	row := Row{Num: make([]float64, 5), Cat: make([]string, 5)}
	at := func(b *binning, k int) float64 { // a value of bin k
		if k == 1 {
			return math.Inf(-1)
		}
		return b.edges[k-2]
	}
	age, power := m.binnings[0], m.binnings[4]
	score := func(i, j int) float64 {
		row.Num[0], row.Num[4] = at(age, i), at(power, j)
		return m.Score(row, nil)
	}
	for i := 1; i < age.bins(Numeric); i++ {
		for j := 1; j < power.bins(Numeric); j++ {
			if i > 1 && score(i, j) > score(i-1, j) || j > 1 && score(i, j) < score(i, j-1) {
				t.Fatalf("the promise is broken at bins %d and %d", i, j)
			}
		}
	}
	if free := m.Meta().Comparisons; free[len(free)-1].Name != "without monotone constraints" {
		t.Errorf("what the constraints cost is not said: %v", free)
	}
}

// TestPoissonRecoversRelativities: each lies within a few of the standard errors that the
// data allow. For the effect of a step of x those follow from the exposures and the true
// rates: the information is the sum of μ(x - x̄)², which for two groups comes to a standard
// error of √(1/a + 1/b) with a and b the claims expected in them (McCullagh and Nelder 1989,
// §2.5). A jump that two fields make together is drawn towards what is smooth and small, so
// that of pairs the model errs on the side of saying less: that may cost a fifth of it more.
func TestPoissonRecoversRelativities(t *testing.T) {
	long(t)
	f, y, link := madePoisson(150_000, 15)
	m := mustFit(t, f, y, Options{Loss: Poisson})
	score := func(age float64, region string, bonus, power float64) float64 {
		return m.Score(Row{Num: []float64{age, 0, bonus, 0, power}, Cat: []string{"", region, "", "", ""}}, nil)
	}
	of := func(one, none bool) float64 {
		switch {
		case one:
			return 1
		case none:
			return 0
		}
		return math.NaN()
	}
	const (
		most  = 3   // standard errors
		drawn = 0.2 // of what a pair does
	)
	for _, c := range []struct {
		name      string
		got, want float64
		x         func(age, bonus, power float64, region string) float64 // NaN: the row does not tell
		steps     float64                                                // of x
		pair      bool
	}{
		{
			"region 1 over 0", score(60, "r1", 10, 80) - score(60, "r0", 10, 80), 0.3,
			func(_, _, _ float64, region string) float64 { return of(region == "r1", region == "r0") }, 1, false,
		},
		{
			"region 2 over 0", score(60, "r2", 10, 80) - score(60, "r0", 10, 80), -0.4,
			func(_, _, _ float64, region string) float64 { return of(region == "r2", region == "r0") }, 1, false,
		},
		{
			"young over old", score(25, "r0", 10, 80) - score(60, "r0", 10, 80), 0.7,
			func(age, _, power float64, _ string) float64 {
				return of(age < 30 && power <= 100, age >= 40 && power <= 100)
			}, 1, false,
		},
		{
			"20 steps of bonus", score(60, "r0", 21, 80) - score(60, "r0", 1, 80), 0.8,
			func(_, bonus, _ float64, _ string) float64 { return bonus }, 20, false,
		},
		{
			"power among the young", score(35, "r0", 10, 130) - score(35, "r0", 10, 80), 0.6,
			func(age, _, power float64, _ string) float64 {
				return of(age < 40 && power > 100, age < 40 && power <= 100)
			}, 1, true,
		},
		{
			"power among the old", score(60, "r0", 10, 130) - score(60, "r0", 10, 80), 0,
			func(age, _, power float64, _ string) float64 {
				return of(age >= 40 && power > 100, age >= 40 && power <= 100)
			}, 1, true,
		},
	} {
		claims, sum, squares := 0.0, 0.0, 0.0
		for i := range f.N {
			if x := c.x(f.Num[0][i], f.Num[2][i], f.Num[4][i], f.Cat[1][i]); x == x {
				expected := y.Exposure[i] * math.Exp(link[i])
				claims, sum, squares = claims+expected, sum+expected*x, squares+expected*x*x
			}
		}
		se := c.steps / math.Sqrt(squares-sum*sum/claims)
		t.Logf("%s: %.3f on the link, truly %.3f, with a standard error of %.3f", c.name, c.got, c.want, se)
		low, high := c.want-most*se, c.want+most*se
		if c.pair {
			low -= drawn * c.want
		}
		if !(low <= c.got && c.got <= high) {
			t.Errorf("%s: %.3f on the link, want %.3f to %.3f", c.name, c.got, low, high)
		}
	}
}

func TestGroupsStayInOneFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.IntRange(1, 300).Draw(t, "rows")
		k := rapid.IntRange(1, 9).Draw(t, "folds")
		y := Target{Y: make([]float64, rows)}
		if rapid.Bool().Draw(t, "grouped") {
			for range rows {
				y.Group = append(y.Group, strconv.Itoa(rapid.IntRange(0, 20).Draw(t, "group")))
			}
		}
		for i := range y.Y {
			y.Y[i] = float64(i % 2) // so that no two rows of a group need be alike
		}
		f := Frame{N: rows}
		r := &reader{loss: Logistic, limit: 8}
		if err := r.read(t.Context(), f.rows(y)); err != nil {
			t.Fatal(err)
		}
		if err := r.arrange(k, rapid.Uint64().Draw(t, "seed"), false); err != nil {
			return // fewer groups than folds
		}
		seen, foldOf := map[int32]bool{}, map[string]int{}
		for fold := range k {
			for _, row := range r.t.order[r.t.bounds[fold]:r.t.bounds[fold+1]] {
				if seen[row] {
					t.Fatalf("row %d is dealt twice", row)
				}
				seen[row] = true
				if y.Group == nil {
					continue
				}
				if before, ok := foldOf[y.Group[row]]; ok && before != fold {
					t.Fatalf("group %s is in folds %d and %d", y.Group[row], before, fold)
				}
				foldOf[y.Group[row]] = fold
			}
		}
		if len(seen) != rows {
			t.Fatalf("%d of %d rows are dealt", len(seen), rows)
		}
	})
}

func TestNumbersFallBetweenTheirEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-5, 5), func(i int) float64 { return float64(i) })), 0, 400).Draw(t, "values")
		limit := rapid.IntRange(2, 40).Draw(t, "limit")
		survey := newNumberSurvey()
		for _, v := range values {
			survey.add(v)
		}
		b := survey.binning(limit)
		if n := b.bins(Numeric); n > limit+1 {
			t.Fatalf("%d bins with missing, limit %d", n, limit)
		}
		counts := make([]int, b.bins(Numeric))
		for _, v := range values {
			want := 1
			for _, e := range b.edges {
				if e <= v {
					want++
				}
			}
			if got := int(b.number(v)); got != want {
				t.Fatalf("%v is in bin %d, want %d", v, got, want)
			}
			counts[want]++
		}
		for i := 1; i < len(b.edges); i++ {
			if !(b.edges[i-1] < b.edges[i]) {
				t.Fatalf("edges %v do not ascend", b.edges)
			}
		}
		if len(b.edges) > 0 && slices.Min(counts[1:]) < minCount {
			t.Fatalf("a bin holds %d rows, fewer than %d", slices.Min(counts[1:]), minCount)
		}
	})
}

func TestProjectIsTheNearestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-3, 3), 1, 30).Draw(t, "values")
		weight := rapid.SliceOfN(rapid.Float64Range(0.1, 5), len(values), len(values)).Draw(t, "weight")
		got := slices.Clone(values)
		project(got, weight, 1)
		if !slices.IsSorted(got) {
			t.Fatalf("%v does not rise", got)
		}
		// The nearest point of a convex cone: the residual is orthogonal to it, and points away.
		var along, constant float64
		for i := range got {
			along += weight[i] * (values[i] - got[i]) * got[i]
			constant += weight[i] * (values[i] - got[i])
		}
		if math.Abs(along) > 1e-6 || math.Abs(constant) > 1e-6 {
			t.Fatalf("residual along the projection %v, along a constant %v", along, constant)
		}
		after := 0.0
		for i := len(got) - 1; i > 0; i-- {
			if after += weight[i] * (values[i] - got[i]); after > 1e-6 {
				t.Fatalf("raising all from %d on would come nearer", i)
			}
		}
	})
}

func TestPurifyKeepsTheSum(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	binnings := []binning{
		{edges: []float64{1, 2, 3}, coarse: []uint8{0, 1, 1, 2, 2}},
		{edges: []float64{1, 2}, coarse: []uint8{0, 1, 2, 3}},
	}
	tables := [][]float64{make([]float64, 5), make([]float64, 4)}
	table, weight := make([]float64, 12), make([]float64, 12)
	for k := range table {
		table[k], weight[k] = rng.NormFloat64(), rng.Float64()
	}
	weight[4], weight[7] = 0, 0
	before := slices.Clone(table)
	purify(table, weight, pair{first: 0, second: 1}, binnings, tables)
	for i, a := range binnings[0].coarse {
		for j, b := range binnings[1].coarse {
			k := int(a)*4 + int(b)
			if got := table[k] + tables[0][i] + tables[1][j]; math.Abs(got-before[k]) > 1e-12 {
				t.Errorf("cell %d: %v before, %v after", k, before[k], got)
			}
		}
	}
	for i := range 3 {
		sum := 0.0
		for j := range 4 {
			sum += weight[i*4+j] * table[i*4+j]
		}
		if math.Abs(sum) > 1e-6 {
			t.Errorf("row %d keeps a mean of %v", i, sum)
		}
	}
}

func TestScoringAllocatesNothing(t *testing.T) {
	f, y, _ := madePoisson(5_000, 16)
	m := mustFit(t, f, y, Options{Loss: Poisson})
	row, contrib := newRow(f), make([]float64, len(m.Terms()))
	rowOf(f, 0, &row)
	if n := testing.AllocsPerRun(100, func() { m.Score(row, contrib) }); n != 0 {
		t.Errorf("%v allocations a score", n)
	}
}

func TestPairsCanBeLeftOut(t *testing.T) {
	long(t)
	f, y, _ := madePoisson(60_000, 17)
	pairs := func(o Options) (n int) {
		o.Loss = Poisson
		for _, term := range mustFit(t, f, y, o).Terms() {
			if len(term.Fields) == 2 {
				n++
			}
		}
		return n
	}
	if n := pairs(Options{}); n == 0 {
		t.Error("the pair that made the data is not found")
	}
	if n := pairs(Options{Pairs: -1}); n != 0 {
		t.Errorf("%d pairs where none are wanted", n)
	}
}

func TestNoTermIsNoise(t *testing.T) {
	long(t)
	// Nothing drives the outcome: at most a trace may be learnt.
	f, y, _ := madeLogistic(20_000, 18)
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range y.Y {
		y.Y[i] = 0
		if rng.Float64() < 0.1 {
			y.Y[i] = 1
		}
	}
	m := mustFit(t, f, y, Options{Loss: Logistic})
	row := newRow(f)
	squares := 0.0
	for i := range f.N {
		rowOf(f, i, &row)
		d := m.Score(row, nil) - math.Log(0.1/0.9)
		squares += d * d / float64(f.N)
	}
	if squares > 0.0025 {
		t.Errorf("root mean square of %v on the link where nothing drives anything", math.Sqrt(squares))
	}
	if !bytes.Equal(saved(t, m), saved(t, mustFit(t, f, y, Options{Loss: Logistic}))) {
		t.Error("the same data twice give different models")
	}
}

func TestNumbersAreReadAsStrconvReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`-?[0-9]{0,17}(\.[0-9]{0,17})?`), rapid.StringMatching(`-?[0-9]\.[0-9]{5}`), rapid.StringMatching(`[0-9.e+-]{0,8}`),
		).Draw(t, "text")
		want, wantErr := strconv.ParseFloat(text, 64)
		got, err := number([]byte(text))
		if (err == nil) != (wantErr == nil) || err == nil && math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%q is read as %v, %v; want %v, %v", text, got, err, want, wantErr)
		}
	})
}

// TestAmountsInAnyOrder: amounts have digits that are lost when they are added, others in
// another order.
func TestAmountsInAnyOrder(t *testing.T) {
	for _, loss := range []Loss{Gamma, Tweedie} {
		f, y := whole(loss, 3000)
		fitted := func() []byte { return saved(t, mustFit(t, f, y, Options{Loss: loss, Bags: 2, Cap: 0.95})) }
		first := fitted()
		r := rand.New(rand.NewPCG(7, uint64(loss)))
		for range 8 {
			r.Shuffle(f.N, func(i, j int) {
				for c := range f.Fields {
					if f.Fields[c].Kind == Numeric {
						f.Num[c][i], f.Num[c][j] = f.Num[c][j], f.Num[c][i]
					} else {
						f.Cat[c][i], f.Cat[c][j] = f.Cat[c][j], f.Cat[c][i]
					}
				}
				for _, v := range [][]float64{y.Y, y.Exposure, y.Weight} {
					if v != nil {
						v[i], v[j] = v[j], v[i]
					}
				}
			})
			if !bytes.Equal(first, fitted()) {
				t.Fatalf("%s: the same rows in another order give another model", loss)
			}
		}
	}
}

func TestFewerBagsOfManyRows(t *testing.T) {
	for rows, want := range map[int]int{1: 8, 250_000: 8, 500_000: 6, 1_000_000: 5, 2_000_000: 4, 100_000_000: 4} {
		if got := bagsOf(rows); got != want {
			t.Errorf("%d bags of %d rows, want %d", got, rows, want)
		}
	}
}
