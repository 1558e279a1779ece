package portfolio

import "testing"

func TestPurposes(t *testing.T) {
	for code, want := range map[string]Purpose{
		"marketing": Marketing, " MARKETING": Marketing, "Nieuwsbrief": Marketing, "Profiling ": OtherPurpose, "derden": OtherPurpose, "": UnknownPurpose, "market": UnknownPurpose,
	} {
		if got := PurposeOf(code); got != want {
			t.Errorf("%q is %d, want %d", code, got, want)
		}
	}
	for code, want := range map[string]bool{"Declined": true, " declined ": true, "": false, " ": false, "decline": false} {
		if AmongCodes([]string{"declined", ""}, code) != want {
			t.Errorf("%q among codes is %v", code, !want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { PurposeOf(" Cookies "); AmongCodes([]string{"Declined"}, " declined") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
