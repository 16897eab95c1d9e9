package policy

// Review says what the admission webhook lets pass.
type Review struct {
	Snippets    bool     // *-snippet annotations
	Risk        string   // the highest risk of an annotation: "Low", "Medium", "High" or "Critical"
	Blocklist   []string // words that no value of an annotation may hold
	StrictPaths bool     // Exact and Prefix paths are plain paths
}

var (
	allowSnippets = Bool("allow-snippet-annotations", false,
		"The webhook lets annotations whose names end in -snippet pass. What they say is not yet supported all the same.", only)
	riskLevel = Enum("annotations-risk-level", "High", []string{"Low", "Medium", "High", "Critical"},
		"The webhook refuses Ingresses with annotations of a higher risk, as ingress-nginx rates them.", only)
	wordBlocklist = List("annotation-value-word-blocklist", nil, "words",
		"The webhook refuses Ingresses with an annotation whose value holds one of these words.", nil, only)
	strictPaths = Bool("strict-validate-path-type", true,
		"The webhook refuses paths of the types Exact and Prefix that hold other characters than letters, digits and any of `/._-`; else it warns.", only)
)

var _ = Register(Unit{
	Name: "review", Doc: "What the admission webhook lets pass. An Ingress that is stored is read the same way whatever these say.", Follows: "ingress-nginx",
	Keys: []Key{allowSnippets, riskLevel, wordBlocklist, strictPaths},
	Settings: func(d *Draft, g *Global) {
		g.Review = Review{
			Snippets: allowSnippets.Get(d), Risk: riskLevel.Get(d), Blocklist: wordBlocklist.Get(d), StrictPaths: strictPaths.Get(d),
		}
	},
})
