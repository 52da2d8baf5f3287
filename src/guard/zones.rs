//! Owns which hours a country has: the rules of its zones (IANA time zone database 2025b, in the public domain), each as
//! POSIX writes them (POSIX.1-2017, section 8.3, with the extensions of RFC 9636). What is done with the hours is not
//! known here. Made from `zone.tab` and the last lines of the compiled zones.

use crate::phone::CountryCode;

/// The zones of a country; empty for one that is not known.
pub(super) fn zones(country: CountryCode) -> &'static [&'static str] {
    let code = country.to_string();
    ZONES
        .iter()
        .find(|(countries, _)| countries.split(' ').any(|listed| listed == code))
        .map_or(&[], |(_, zones)| zones)
}

/// Countries with the same hours, and their zones.
#[rustfmt::skip]
pub(super) const ZONES: &[(&str, &[&str])] = &[
    ("AD AL AT BA BE CH CZ DE DK FR GI HR HU IT LI LU MC ME MK MT NL NO PL RS SE SI SJ SK SM VA XK", &["CET-1CEST,M3.5.0,M10.5.0/3"]),
    ("AE AM AZ GE MU OM RE SC", &["<+04>-4"]),
    ("AF", &["<+0430>-4:30"]),
    ("AG AI AW BB BL BQ CW DM DO GD GP KN LC MF MQ MS PR SX TT VC VG VI", &["AST4"]),
    ("AO BJ CF CG CM GA GQ NE NG TD", &["WAT-1"]),
    ("AQ", &["<+00>0<+02>-2,M3.5.0/1,M10.5.0/3", "<+03>-3", "<+05>-5", "<+07>-7", "<+08>-8", "<+10>-10", "<-03>3", "NZST-12NZDT,M9.5.0,M4.1.0/3"]),
    ("AR FK GF PY SR UY", &["<-03>3"]),
    ("AS", &["SST11"]),
    ("AU", &["<+0845>-8:45", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "ACST-9:30", "ACST-9:30ACDT,M10.1.0,M4.1.0/3", "AEST-10", "AEST-10AEDT,M10.1.0,M4.1.0/3", "AWST-8"]),
    ("AX BG CY EE FI GR LT LV RO", &["EET-2EEST,M3.5.0/3,M10.5.0/4"]),
    ("BD BT IO KG", &["<+06>-6"]),
    ("AC TA BF CI GH GM GN GW IS LR ML MR SH SL SN ST TG", &["GMT0"]),
    ("BH BY IQ JO KW QA SA SY TR YE", &["<+03>-3"]),
    ("BI BW MW MZ NA RW SD SS ZM ZW", &["CAT-2"]),
    ("BM", &["AST4ADT,M3.2.0,M11.1.0"]),
    ("BN MY SG", &["<+08>-8"]),
    ("BO GY VE", &["<-04>4"]),
    ("BR", &["<-02>2", "<-03>3", "<-04>4", "<-05>5"]),
    ("BS HT TC", &["EST5EDT,M3.2.0,M11.1.0"]),
    ("BZ CR GT HN NI SV", &["CST6"]),
    ("CA", &["AST4", "AST4ADT,M3.2.0,M11.1.0", "CST6", "CST6CDT,M3.2.0,M11.1.0", "EST5", "EST5EDT,M3.2.0,M11.1.0", "MST7", "MST7MDT,M3.2.0,M11.1.0", "NST3:30NDT,M3.2.0,M11.1.0", "PST8PDT,M3.2.0,M11.1.0"]),
    ("CC MM", &["<+0630>-6:30"]),
    ("CD", &["CAT-2", "WAT-1"]),
    ("CK", &["<-10>10"]),
    ("CL", &["<-03>3", "<-04>4<-03>,M9.1.6/24,M4.1.6/24", "<-06>6<-05>,M9.1.6/22,M4.1.6/22"]),
    ("CN", &["<+06>-6", "CST-8"]),
    ("CO PE", &["<-05>5"]),
    ("CU", &["CST5CDT,M3.2.0/0,M11.1.0/1"]),
    ("CV", &["<-01>1"]),
    ("CX KH LA TH VN", &["<+07>-7"]),
    ("DJ ER ET KE KM MG SO TZ UG YT", &["EAT-3"]),
    ("DZ TN", &["CET-1"]),
    ("EC", &["<-05>5", "<-06>6"]),
    ("EG", &["EET-2EEST,M4.5.5/0,M10.5.4/24"]),
    ("EH MA", &["<+01>-1"]),
    ("ES", &["CET-1CEST,M3.5.0,M10.5.0/3", "WET0WEST,M3.5.0/1,M10.5.0"]),
    ("FJ MH NR TV WF", &["<+12>-12"]),
    ("FM PG", &["<+10>-10", "<+11>-11"]),
    ("FO", &["WET0WEST,M3.5.0/1,M10.5.0"]),
    ("GB GG IM JE", &["GMT0BST,M3.5.0/1,M10.5.0"]),
    ("GL", &["<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "AST4ADT,M3.2.0,M11.1.0", "GMT0"]),
    ("GS", &["<-02>2"]),
    ("GU MP", &["ChST-10"]),
    ("HK", &["HKT-8"]),
    ("ID", &["WIB-7", "WIT-9", "WITA-8"]),
    ("IE", &["IST-1GMT0,M10.5.0,M3.5.0/1"]),
    ("IL", &["IST-2IDT,M3.4.4/26,M10.5.0"]),
    ("IN", &["IST-5:30"]),
    ("IR", &["<+0330>-3:30"]),
    ("JM KY PA", &["EST5"]),
    ("JP", &["JST-9"]),
    ("KI", &["<+12>-12", "<+13>-13", "<+14>-14"]),
    ("KP KR", &["KST-9"]),
    ("KZ MV TF TJ TM UZ", &["<+05>-5"]),
    ("LB", &["EET-2EEST,M3.5.0/0,M10.5.0/0"]),
    ("LK", &["<+0530>-5:30"]),
    ("LS SZ ZA", &["SAST-2"]),
    ("LY", &["EET-2"]),
    ("MD", &["EET-2EEST,M3.5.0,M10.5.0/3"]),
    ("MN", &["<+07>-7", "<+08>-8"]),
    ("MO TW", &["CST-8"]),
    ("MX", &["CST6", "CST6CDT,M3.2.0,M11.1.0", "EST5", "MST7", "MST7MDT,M3.2.0,M11.1.0", "PST8PDT,M3.2.0,M11.1.0"]),
    ("NC SB VU", &["<+11>-11"]),
    ("NF", &["<+11>-11<+12>,M10.1.0,M4.1.0/3"]),
    ("NP", &["<+0545>-5:45"]),
    ("NU", &["<-11>11"]),
    ("NZ", &["<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", "NZST-12NZDT,M9.5.0,M4.1.0/3"]),
    ("PF", &["<-0930>9:30", "<-09>9", "<-10>10"]),
    ("PH", &["PST-8"]),
    ("PK", &["PKT-5"]),
    ("PM", &["<-03>3<-02>,M3.2.0,M11.1.0"]),
    ("PN", &["<-08>8"]),
    ("PS", &["EET-2EEST,M3.4.4/50,M10.4.4/50"]),
    ("PT", &["<-01>1<+00>,M3.5.0/0,M10.5.0/1", "WET0WEST,M3.5.0/1,M10.5.0"]),
    ("PW TL", &["<+09>-9"]),
    ("RU", &["<+04>-4", "<+05>-5", "<+06>-6", "<+07>-7", "<+08>-8", "<+09>-9", "<+10>-10", "<+11>-11", "<+12>-12", "EET-2", "MSK-3"]),
    ("TK TO WS", &["<+13>-13"]),
    ("UA", &["EET-2EEST,M3.5.0/3,M10.5.0/4", "MSK-3"]),
    ("UM", &["<+12>-12", "SST11"]),
    ("US", &["AKST9AKDT,M3.2.0,M11.1.0", "CST6CDT,M3.2.0,M11.1.0", "EST5EDT,M3.2.0,M11.1.0", "HST10", "HST10HDT,M3.2.0,M11.1.0", "MST7", "MST7MDT,M3.2.0,M11.1.0", "PST8PDT,M3.2.0,M11.1.0"]),
];
