//! What can be wrong with an adapter: one thing each, and the trial that says so.

/// One defect of an adapter that is right otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    // L0
    AllowsNothingAtOnce,
    PromisesMoreThanIsWaitedFor,
    AnswersInPlainText,
    MoneyIsANumber,
    MoneyHasOneDecimal,
    TimesHaveNoOffset,
    ChokesOnNewMembers,
    FailsOnTheUnreadable,
    AnswersUnknownVerbs,
    ReadsAnyType,
    FailsOnTheEndless,
    RefusesWithoutATitle,
    // L1
    QuotesWhatHasLapsed,
    PaysAboveTheMost,
    PaysWhereNothingMay,
    CoversEverybody,
    SaysEverybodyIsCovered,
    SaysTooLateWhoIsCovered,
    KnowsEverybody,
    UnknownIsPending,
    StatusTellsAnotherSum,
    AnswersMoreThanItPaid,
    RefusesToPayNothing,
    CommitsWithoutAQuote,
    CommitsAnySum,
    CommitsWhatHasLapsed,
    RefusesWithoutAReason,
    GivesLessBack,
    ReversesAfterItsWindow,
    MissesCharges,
    KeepsTooMuch,
    CountsWhatItIsToldAgain,
    RefusesToBeToldAgain,
    StaysCalledOff,
    RefusesToCallOffTheUnheard,
    // L2
    AnswersAnewEachTime,
    BooksTwiceAtOnce,
    BooksTwiceThoughItAsksForOneAtATime,
    TakesOtherContent,
    KeepsNoTombstones,
    RefusesItsOwnReversal,
    ReversesTwice,
    BooksAgainWhatWasLeft,
    StatusHidesWhatWasLeft,
    BooksAgainWhatWasLate,
    ForgetsRefusals,
    // L3
    KeepsTheCap,
    RacesPastTheCap,
    LeavesCommitsHanging,
    MixesReferencesUp,
    // L4
    CompletesHalfRequests,
    IsHeldUpByTheSlow,
    DiesOfNonsense,
    ForgetsEverything,
    ForgetsTombstones,
    AnswersBeforeItIsDurable,
    // L5
    LetsAnybodyIn,
    BelievesAnyAuthority,
    TakesTheExpired,
    PinsTheLeaf,
    SpeaksPlainText,
    BeginsWhatIsLate,
    ForgivesAMinute,
    BeginsLateReversals,
    BelievesInNoLongDeadlines,
    RepeatsThePerson,
    RepeatsTheNameEscaped,
    TakesPersonsByAddress,
    WritesWhatItIsAsked,
    WritesTheNameEscaped,
    // L6
    QuotesSlowlyUnderLoad,
    CommitsSlowlyUnderLoad,
    IsBusyWithinItsPromise,
    // L7
    LosesALine,
    ReversalsArePositive,
    BooksWhatItRefused,
    MixesDaysUp,
    OrdersBackwards,
    IgnoresAfter,
    StopsAtAPage,
    ReadsAnyDay,
}

use Fault::*;

/// Each with the one trial that it fails.
pub(crate) const CAUGHT: &[(Fault, &str)] = &[
    (AllowsNothingAtOnce, "L0-01"),
    (PromisesMoreThanIsWaitedFor, "L0-01"),
    (AnswersInPlainText, "L0-02"),
    (MoneyIsANumber, "L0-03"),
    (MoneyHasOneDecimal, "L0-03"),
    (TimesHaveNoOffset, "L0-04"),
    (ChokesOnNewMembers, "L0-05"),
    (FailsOnTheUnreadable, "L0-06"),
    (AnswersUnknownVerbs, "L0-07"),
    (ReadsAnyType, "L0-08"),
    (FailsOnTheEndless, "L0-09"),
    (RefusesWithoutATitle, "L0-10"),
    (QuotesWhatHasLapsed, "L1-01"),
    (PaysAboveTheMost, "L1-02"),
    (PaysWhereNothingMay, "L1-03"),
    (CoversEverybody, "L1-04"),
    (SaysEverybodyIsCovered, "L1-05"),
    (SaysTooLateWhoIsCovered, "L1-05"),
    (KnowsEverybody, "L1-18"),
    (UnknownIsPending, "L1-06"),
    (StatusTellsAnotherSum, "L1-07"),
    (AnswersMoreThanItPaid, "L1-07"),
    (RefusesToPayNothing, "L1-16"),
    (CommitsWithoutAQuote, "L1-08"),
    (CommitsAnySum, "L1-14"),
    (CommitsWhatHasLapsed, "L1-15"),
    (RefusesWithoutAReason, "L1-09"),
    (GivesLessBack, "L1-10"),
    (ReversesAfterItsWindow, "L1-17"),
    (MissesCharges, "L1-11"),
    (KeepsTooMuch, "L1-11"),
    (CountsWhatItIsToldAgain, "L1-12"),
    (RefusesToBeToldAgain, "L1-12"),
    (StaysCalledOff, "L1-13"),
    (RefusesToCallOffTheUnheard, "L1-13"),
    (AnswersAnewEachTime, "L2-01"),
    (BooksTwiceAtOnce, "L2-02"),
    (BooksTwiceThoughItAsksForOneAtATime, "L2-02"),
    (TakesOtherContent, "L2-03"),
    (KeepsNoTombstones, "L2-04"),
    (RefusesItsOwnReversal, "L2-05"),
    (ReversesTwice, "L2-06"),
    (BooksAgainWhatWasLeft, "L2-07"),
    (StatusHidesWhatWasLeft, "L2-07"),
    (BooksAgainWhatWasLate, "L2-09"),
    (ForgetsRefusals, "L2-08"),
    (KeepsTheCap, "L3-01"),
    (RacesPastTheCap, "L3-02"),
    (LeavesCommitsHanging, "L3-03"),
    (MixesReferencesUp, "L3-04"),
    (CompletesHalfRequests, "L4-01"),
    (IsHeldUpByTheSlow, "L4-02"),
    (DiesOfNonsense, "L4-03"),
    (ForgetsEverything, "L4-04"),
    (ForgetsTombstones, "L4-05"),
    (AnswersBeforeItIsDurable, "L4-06"),
    (LetsAnybodyIn, "L5-01"),
    (BelievesAnyAuthority, "L5-02"),
    (TakesTheExpired, "L5-07"),
    (PinsTheLeaf, "L5-08"),
    (SpeaksPlainText, "L5-03"),
    (BeginsWhatIsLate, "L5-04"),
    (ForgivesAMinute, "L5-04"),
    (BeginsLateReversals, "L5-04"),
    (BelievesInNoLongDeadlines, "L5-04"),
    (RepeatsThePerson, "L5-05"),
    (RepeatsTheNameEscaped, "L5-05"),
    (TakesPersonsByAddress, "L5-06"),
    (WritesWhatItIsAsked, "L5-09"),
    (WritesTheNameEscaped, "L5-09"),
    (QuotesSlowlyUnderLoad, "L6-01"),
    (CommitsSlowlyUnderLoad, "L6-02"),
    (IsBusyWithinItsPromise, "L6-03"),
    (LosesALine, "L7-01"),
    (ReversalsArePositive, "L7-02"),
    (BooksWhatItRefused, "L7-03"),
    (MixesDaysUp, "L7-04"),
    (OrdersBackwards, "L7-05"),
    (IgnoresAfter, "L7-05"),
    (StopsAtAPage, "L7-05"),
    (ReadsAnyDay, "L7-06"),
];

impl Fault {
    /// Faults of adapters that must see visits.
    pub(crate) fn is_of_visits(self) -> bool {
        matches!(
            self,
            MissesCharges
                | KeepsTooMuch
                | CountsWhatItIsToldAgain
                | RefusesToBeToldAgain
                | StaysCalledOff
                | RefusesToCallOffTheUnheard
        )
    }

    /// Faults of pages, which are as long as they may be: one is enough until the kit wants to see a second.
    pub(crate) fn is_of_pages(self) -> bool {
        matches!(self, IgnoresAfter | StopsAtAPage)
    }

    /// Faults of connections, before anything is read.
    pub(crate) fn is_in_front(self) -> bool {
        matches!(
            self,
            FailsOnTheEndless
                | BooksAgainWhatWasLeft
                | StatusHidesWhatWasLeft
                | CompletesHalfRequests
                | IsHeldUpByTheSlow
                | DiesOfNonsense
                | LetsAnybodyIn
                | BelievesAnyAuthority
                | TakesTheExpired
                | PinsTheLeaf
                | SpeaksPlainText
        )
    }
}
