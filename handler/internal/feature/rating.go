package feature

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode"

	"polis/handler/internal/enrichment"
	"polis/handler/internal/portfolio"
)

// factor is what policies are rated by, with the keys that houses give it. Case and
// separators do not count: buildYear and build_year are one.
type factor struct {
	Meaning string
	Keys    []string
	Who     bool // it is about people, whose names and genders have been written there
}

// ratingFactors are the attributes of policies that are features without a tenant naming
// them: what Dutch and European insurers commonly rate by, under keys that cannot be read as
// who somebody is or how somebody is. driver, occupation and use are none, since driver may hold a
// name or a gender; their classes are. Whatever else is held in attributes may be anything, a
// colleague's name or a remark, and is a feature only where somebody who answers for it says
// so. Their values are looked at too: see Survey. Our choice.
var ratingFactors = []factor{
	{"year of the vehicle, building or boat", []string{"vehicle_year", "build_year", "building_year", "year_built", "construction_year", "model_year", "year_of_make", "bouwjaar", "bouwjaar_voertuig", "bouwjaar_pand"}, false},
	{"age of the vehicle, and when it was bought", []string{"vehicle_age", "car_age", "leeftijd_voertuig", "leeftijd_auto", "age_at_purchase", "aanschafjaar"}, false},
	{"power", []string{"power", "power_kw", "engine_power", "kw", "hp", "vermogen", "vermogen_kw", "pk", "motorvermogen"}, false},
	{"engine", []string{"cc", "engine_size", "displacement", "cilinderinhoud", "gearbox", "manual_gearbox", "transmissie"}, false},
	{"weight", []string{"weight", "vehicle_weight", "kerb_weight", "gross_weight", "gewicht", "ledig_gewicht", "gewicht_voertuig"}, false},
	{"value of the insured thing", []string{"catalogue_value", "catalog_value", "list_price", "market_value", "cataloguswaarde", "catalogusprijs", "dagwaarde", "nieuwwaarde", "aanschafwaarde"}, false},
	{"rebuild value", []string{"rebuild_value", "reinstatement_value", "herbouwwaarde", "contents_value", "inboedelwaarde"}, false},
	{"fuel", []string{"fuel", "fuel_type", "brandstof", "brandstofsoort", "electric", "elektrisch"}, false},
	{"kind of vehicle", []string{"vehicle", "vehicle_type", "vehicle_class", "body_type", "voertuigsoort", "carrosserie", "make", "merk"}, false},
	{"distance a year", []string{"kilometers", "kilometres", "km", "km_per_year", "mileage", "annual_mileage", "kilometrage", "jaarkilometrage"}, false},
	{"use, in classes", []string{"use_class", "private_use", "business_use", "gebruiksklasse", "zakelijk_gebruik", "prive_gebruik"}, false},
	{"age and experience of who drives, and who may, in classes", []string{"driver_class", "driver_age", "youngest_driver_age", "licence_years", "license_years", "rijbewijsjaren", "leeftijd_bestuurder"}, true},
	{"occupation, in classes", []string{"occupation_class", "job_class", "beroepsklasse"}, true},
	{"claim-free years, bonus-malus", []string{"claim_free_years", "no_claim", "no_claim_years", "ncd", "bm", "bonus_malus", "bonus_malus_class", "bm_class", "schadevrije_jaren", "bonusmalustrede", "bm_trede", "no_claim_korting"}, false},
	{"where the thing is kept", []string{"garage", "parking", "stalling", "parkeren"}, false},
	{"cover and deductible", []string{"coverage", "cover", "dekking", "dekkingsvorm", "deductible", "deductible_glass", "excess", "eigen_risico", "eigen_risico_glas"}, false},
	{"vehicles, contracts and people insured", []string{"vehicles", "number_of_vehicles", "fleet", "fleet_size", "aantal_voertuigen", "contracts", "number_of_contracts", "insured_persons", "family_size", "gezinsgrootte", "aantal_verzekerden"}, true},
	{"construction", []string{"construction", "construction_type", "wall_type", "bouwaard", "muren", "fundering"}, false},
	{"roof", []string{"roof", "roof_kind", "roof_type", "thatched_roof", "dak", "dakbedekking", "rieten_dak", "solar_panels", "zonnepanelen"}, false},
	{"kind of building", []string{"building_type", "building_kind", "dwelling_type", "woningtype", "type_woning", "soort_woning", "owner_occupied", "eigendom", "listed_building", "monument"}, false},
	{"size of the building", []string{"floor_area", "living_area", "area_m2", "volume_m3", "oppervlakte", "woonoppervlakte", "vloeroppervlakte", "inhoud", "rooms", "bedrooms", "kamers", "aantal_kamers", "floors", "verdiepingen"}, false},
	{"security", []string{"security", "security_class", "alarm", "alarm_class", "immobiliser", "beveiliging", "beveiligingsklasse", "scm_klasse", "sprinkler", "smoke_detector", "rookmelder"}, false},
	{"where it is", []string{"lat", "long", "latitude", "longitude", "region", "regio", "zone", "risk_zone", "flood_zone", "overstromingszone"}, false},
	{"boat", []string{"boat_length", "boat_type", "hull", "sailing_area", "lengte_vaartuig", "bootlengte", "type_vaartuig", "vaargebied"}, false},
	{"pet", []string{"pet_kind", "pet_age", "breed", "diersoort", "soort_dier", "leeftijd_dier", "ras"}, false},
	{"travel", []string{"travel_region", "travel_area", "travel_days", "winter_sports", "reisgebied", "dekkingsgebied", "reisduur", "wintersport"}, false},
	{"business", []string{"turnover", "revenue", "payroll", "sector", "sbi", "nace", "omzet", "jaaromzet", "loonsom", "bedrijfssector", "legal_form", "rechtsvorm"}, false},
	{"duration, and price against the market's", []string{"contract_term", "looptijd", "offer_over_market"}, false},
}

// ratingKeys are the places in ratingFactors by key.
var ratingKeys = func() map[string]int {
	m := map[string]int{}
	for i, f := range ratingFactors {
		for _, k := range f.Keys {
			m[folded(k)] = i
		}
	}
	return m
}()

// folded is a key's letters and digits in lower case.
func folded(key string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, key)
}

// RatingFactor reports whether an attribute is known as one, and so a feature without
// a tenant naming it.
func RatingFactor(key string) bool {
	_, known := ratingKeys[folded(key)]
	return known
}

// What tells free text from a category. Our choice.
const (
	mostNames  = 50 // different values of a category
	longestOne = 40 // characters of one
	// Of a few names, as all_drivers over 24 and only the partner, spaces say nothing: people
	// who write freely do not write the same few things.
	fewNames = 12
	// Values that look like names of people, of which one may be a place's.
	peoplesNames = 2
	// Of policies that have an attribute, those of which it says what may never be a feature: one
	// remark in a field of many thousands does not make it one of remarks.
	fewForbidden = 0.01
)

// Rare is what a value that few customers have is read as, and so is one that was not met.
const Rare = "other"

// Survey counts the attributes of policies, to find a tenant's rating factors. A customer's
// policies come one after the other.
type Survey struct {
	policies int
	keys     map[string]*tally
}

type tally struct {
	seen, numbers int
	spaced        int               // values of more than a word
	long          bool              // one is
	names         map[string]*named // that are no numbers, mostNames+1 at most
	key           string
}

// named is a value that is no number.
type named struct {
	policies, customers int
	last                string // the customer that had it last
	forbidden           bool   // it says what may never be a feature
	person              bool   // it looks like somebody's name
}

// Add counts a policy's attributes.
func (s *Survey) Add(p *portfolio.Policy) {
	if s.keys == nil {
		s.keys = map[string]*tally{}
	}
	s.policies++
	for _, a := range p.Attributes {
		t := s.keys[a.Key]
		if t == nil {
			if len(s.keys) >= 1000 { // free text for keys: not rating factors
				continue
			}
			t = &tally{names: map[string]*named{}, key: strings.Clone(a.Key)}
			s.keys[t.key] = t
		}
		t.add(strings.TrimSpace(a.Value), p.CustomerID)
	}
}

func (t *tally) add(value, customer string) {
	if value == "" {
		return
	}
	t.seen++
	if v := number(value); v == v {
		t.numbers++
		return
	}
	if strings.ContainsFunc(value, unicode.IsSpace) {
		t.spaced++
	}
	t.long = t.long || len([]rune(value)) > longestOne
	n := t.names[value]
	if n == nil {
		if len(t.names) > mostNames {
			return
		}
		n = &named{forbidden: ForbiddenValue(value), person: personal(t.key, value)}
		t.names[strings.Clone(value)] = n
	}
	n.policies++
	if n.customers == 0 || n.last != customer {
		n.customers, n.last = n.customers+1, strings.Clone(customer)
	}
}

// numeric reports whether nearly all values are numbers: the others are missing.
func (t *tally) numeric() bool { return t.numbers*20 >= t.seen*19 }

// free reports whether values look like free text.
func (t *tally) free() bool {
	return !t.numeric() && (t.long || len(t.names) > mostNames || len(t.names) > fewNames && t.spaced*2 > t.seen)
}

// common are the values that are no numbers and that so many customers have, in order, and how many
// policies have one. None says what may never be a feature, or looks like somebody's name.
func (t *tally) common(fewest int) (values []string, policies int) {
	for v, n := range t.names {
		if n.customers >= fewest && !n.forbidden && !n.person {
			values, policies = append(values, v), policies+n.policies
		}
	}
	slices.Sort(values)
	return values, policies
}

// forbidden reports whether more than a few policies have a value that may never be a feature.
func (t *tally) forbidden() bool {
	n := 0
	for _, v := range t.names {
		if v.forbidden {
			n += v.policies
		}
	}
	return t.many(n)
}

func (t *tally) many(policies int) bool { return float64(policies) > fewForbidden*float64(t.seen) }

// genders reports whether the values are those that forms have for gender, and nothing else.
// One of them alone says little: MAN makes lorries. Nor do D and H of a fuel.
func (t *tally) genders() bool {
	if !mayBeWho(t.key) {
		return false
	}
	either := [2]bool{}
	for v := range t.names {
		side, ok := genderCodes[strings.ToLower(v)]
		if !ok {
			return false
		}
		if side < 2 {
			either[side] = true
		}
	}
	return either[0] && either[1]
}

// genderCodes are how forms write gender in Dutch, English, German and French: man and
// vrouw, male and female, Herr and Dame, homme and femme; 2 is neither.
var genderCodes = map[string]int{"m": 0, "h": 0, "man": 0, "men": 0, "mann": 0, "v": 1, "f": 1, "w": 1, "d": 1, "women": 1, "x": 2, "o": 2, "u": 2, "?": 2, "-": 2, "unknown": 2, "onbekend": 2}

// people reports whether more than a few policies have what looks like somebody's name, and not
// all the same.
func (t *tally) people() bool {
	different, policies := 0, 0
	for _, n := range t.names {
		if n.person {
			different, policies = different+1, policies+n.policies
		}
	}
	return different >= min(peoplesNames, len(t.names)) && t.many(policies)
}

// personal reports whether a value looks like somebody's name: by initials, J. Bakker, or by a known
// first name, Jan de Vries. Without a particle that is said of classes and of what may be about
// people only: regions and makes are named after people.
func personal(key, value string) bool {
	if initials().MatchString(value) {
		return true
	}
	m := fullName().FindStringSubmatch(value)
	return m != nil && (m[2] != "" || mayBeWho(key) || classes().MatchString(key)) && firstNames.Find(m[1]) != nil && firstNames.Find(value) != nil
}

// Only training asks; to compile what says any letter takes a start of the program long.
var (
	classes  = lazily(`(?i)(class|klasse)$`)
	initials = lazily(`^(\p{Lu}\.\s?)+(\p{L}+\s)*\p{Lu}\p{Ll}+`)
	fullName = lazily(`^(\p{L}\p{Ll}+)\s+((?:(?:van|de|den|der|ten|ter|het|'t|von|zu|el|al|ben|di|da)\s+)*)\p{L}[\p{L}'-]+$`)
)

func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// mayBeWho reports whether an attribute may be about people: one that is no known rating factor, or
// is one of who drives or works.
func mayBeWho(key string) bool {
	at, known := ratingKeys[folded(key)]
	return !known || ratingFactors[at].Who
}

// has reports whether a policy has the attribute.
func (s *Survey) has(key string) bool { return s.keys[key] != nil }

// LeftOut is an attribute of policies that is no feature.
type LeftOut struct{ Key, Why string }

// mostAttributes are as many as a schema has.
const mostAttributes = 40

// Schema is the features with the attributes that are known rating factors or that the
// tenant names, and that at least one policy in fifty has, at most 40 of them, the commonest
// first and then by name. Those are left out that may never be a feature, by their key or by
// more than a few of their values, those that look like free text or names of people, and those that the
// tenant excludes. What is left out of those that a policy in fifty has, or that the tenant
// names, is returned with why. Of a category the schema has the values that enough customers
// have: what few have would point at them, and models learn nothing from it.
func (s *Survey) Schema(settings Settings) (PolicySchema, []LeftOut) {
	var out PolicySchema
	var left []LeftOut
	var keys []string
	for k, t := range s.keys {
		if t.seen*50 < s.policies && !settings.names(k) || strings.HasPrefix(k, enrichment.Prefix) {
			continue
		}
		if why := t.why(k, s.policies, settings); why != "" {
			left = append(left, LeftOut{k, why})
			continue
		}
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := s.keys[keys[i]], s.keys[keys[j]]
		if a.seen != b.seen {
			return a.seen > b.seen
		}
		return keys[i] < keys[j]
	})
	for i, k := range keys {
		if i >= mostAttributes {
			left = append(left, LeftOut{k, fmt.Sprintf("%d others are commoner", mostAttributes)})
			continue
		}
		a := Attr{Key: k, Numeric: s.keys[k].numeric()}
		if !a.Numeric {
			a.Values, _ = s.keys[k].common(settings.FewestCustomers)
		}
		out.Attributes = append(out.Attributes, a)
	}
	for _, name := range settings.Attributes {
		if !s.has(name) {
			left = append(left, LeftOut{name, "no policy has it"})
		}
	}
	sort.Slice(left, func(i, j int) bool { return left[i].Key < left[j].Key })
	return out, left
}

// why says why an attribute is no feature; "" of one that is.
func (t *tally) why(key string, policies int, settings Settings) string {
	switch {
	case Forbidden(key):
		return "forbidden: its name says gender, health, who somebody is, staff or free text"
	case settings.Excludes(Attribute + key):
		return "excluded in features.exclude"
	case !settings.allows(key):
		return "not listed: name it in features.attributes if it is a rating factor"
	case t.free():
		return fmt.Sprintf("looks like free text: more than %d different values, one of more than %d characters, or mostly of several words", mostNames, longestOne)
	case t.seen*50 < policies:
		return "fewer than one policy in fifty have it"
	case t.forbidden() || t.genders():
		return "forbidden: a value says gender, health, or another special category"
	case t.people():
		return "forbidden: values look like names of people"
	case t.numeric():
		return ""
	}
	if _, n := t.common(settings.FewestCustomers); (n+t.numbers)*2 < t.seen {
		return fmt.Sprintf("most policies have a value that fewer than %d customers have", settings.FewestCustomers)
	}
	return ""
}
