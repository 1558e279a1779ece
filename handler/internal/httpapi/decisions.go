package httpapi

import (
	"net/http"

	"polis/handler/internal/caller"
	"polis/handler/internal/decision"
	"polis/handler/internal/portfolio"
	"polis/handler/internal/wording"
)

// words is the language in which a request wants scores told, if in any, and the sentences
// of its tenant.
type words struct {
	lang      wording.Lang
	asked     bool
	sentences *wording.Sentences
}

// wanted finds the language that is asked for, and says so in the answer.
func (a *API) wanted(w http.ResponseWriter, r *http.Request, c call) (in words, err error) {
	w.Header().Add("Vary", "Accept-Language")
	in.lang, in.asked = wording.Choose(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	if in.asked {
		w.Header().Set("Content-Language", in.lang.String())
		in.sentences, err = a.Decisions.Sentences(r.Context(), c.tenant)
	}
	return in, err
}

// add adds sentences to a score's JSON where they are asked for.
func (w words) add(score []byte) ([]byte, error) {
	if !w.asked {
		return score, nil
	}
	return w.sentences.Append(w.lang, score)
}

func (a *API) getDecision(w http.ResponseWriter, r *http.Request, c call) error {
	d, err := a.Decisions.Get(r.Context(), c.tenant, r.PathValue("decision"))
	if err != nil {
		return err
	}
	in, err := a.wanted(w, r, c)
	if err != nil {
		return err
	}
	if d.Score, err = in.add(d.Score); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, d)
}

// by is who calls, as records keep it.
func (c call) by(role caller.Role) decision.Person {
	return decision.Person{Subject: c.Subject, Role: string(role)}
}

func (a *API) rely(w http.ResponseWriter, r *http.Request, c call) error {
	var q struct {
		Outcome string `json:"outcome"`
		Reason  string `json:"reason_code"`
	}
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	d, err := a.Decisions.Rely(r.Context(), c.tenant, r.PathValue("decision"), decision.Reliance{
		Outcome: q.Outcome, Reason: q.Reason, By: c.by(caller.ActionsWrite),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"decision_id": d.ID, "kept_at": d.KeptAt, "reliance": d.Reliance})
}

// review asks for a person. What the customer says is not sent back: answers to keys are
// kept for a day, and it is in the decision.
func (a *API) review(w http.ResponseWriter, r *http.Request, c call) error {
	var q struct {
		Reason string `json:"reason_code"`
		Text   string `json:"text"`
	}
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	id := r.PathValue("decision")
	review, made, err := a.Decisions.Review(r.Context(), c.tenant, id, decision.Review{
		Reason: q.Reason, Text: q.Text, RequestedBy: c.by(caller.ActionsWrite),
	})
	if err != nil {
		return err
	}
	code := http.StatusOK
	if made {
		code = http.StatusCreated
		w.Header().Set("Location", "/api/v1/decisions/"+id)
	}
	return writeJSON(w, code, silent(*review))
}

// silent is a review without what anybody wrote in it.
func silent(r decision.Review) decision.Review {
	r.Text = ""
	if r.Outcome != nil {
		o := *r.Outcome
		o.Text = ""
		r.Outcome = &o
	}
	return r
}

func (a *API) decide(w http.ResponseWriter, r *http.Request, c call) error {
	var q struct {
		Outcome string `json:"outcome"`
		Reason  string `json:"reason_code"`
		Text    string `json:"text"`
	}
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	review, err := a.Decisions.Decide(r.Context(), c.tenant, r.PathValue("decision"), q.Outcome, decision.Outcome{
		Reason: q.Reason, Text: q.Text, By: c.by(caller.ReviewsWrite),
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, silent(*review))
}

func (a *API) listReviews(w http.ResponseWriter, r *http.Request, c call) error {
	list, err := a.Decisions.Open(r.Context(), c.tenant)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"reviews": orEmpty(list)})
}

func (a *API) getObjection(w http.ResponseWriter, r *http.Request, c call) error {
	o, err := a.Decisions.Objection(r.Context(), c.tenant, r.PathValue("customer"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, o)
}

func (a *API) object(w http.ResponseWriter, r *http.Request, c call) error {
	return a.setObjection(w, r, c, true)
}

func (a *API) withdraw(w http.ResponseWriter, r *http.Request, c call) error {
	return a.setObjection(w, r, c, false)
}

// setObjection records what a customer says of profiling. Actions that came of a profile
// leave the lists with it; what care asks for stays.
func (a *API) setObjection(w http.ResponseWriter, r *http.Request, c call, objects bool) error {
	var q struct {
		Source string         `json:"source"`
		Date   portfolio.Date `json:"date"`
	}
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	id := r.PathValue("customer")
	o, action, err := a.Decisions.Object(r.Context(), c.tenant, id, portfolio.Objection{Objects: objects, Since: q.Date, Source: q.Source})
	if err != nil {
		return err
	}
	switch {
	case objects && (o.Stale || action != ""): // what care asked for is not known anew, or stays
		err = a.Lists.Withdraw(r.Context(), c.tenant.ID, id)
	case objects && action == "":
		err = a.Lists.Clear(r.Context(), c.tenant.ID, id)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, o)
}
